-- What tells whether mail goes out, at one moment.
-- KEYS: due, late, queue, time of the newest mail sent, workers, dead letters
-- ARGV: record prefix, prefix of the workers' keys, a worker is alive for (s) after its last word, one is remembered for (s)
-- Returns { time (s), mails owed, when the oldest of them was accepted (s, or ""), when the newest mail was sent (s, or ""),
--           { what each living worker says (JSON) ... }, { when each remembered worker was heard of (s) ... }, dead letters }.
local oldest = oldest_owed(KEYS[1], KEYS[2], KEYS[3], ARGV[1], now)
local says = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], written(now - tonumber(ARGV[3])), '+inf')) do
  says[#says + 1] = redis.call('GET', ARGV[2] .. name) or nil
end
local heard = {}
for position, each in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], written(now - tonumber(ARGV[4])), '+inf', 'WITHSCORES')) do
  if position % 2 == 0 then
    heard[#heard + 1] = each
  end
end
return { written(now), redis.call('ZCARD', KEYS[1]), oldest and written(oldest) or '', redis.call('GET', KEYS[4]) or '', says, heard,
  redis.call('ZCARD', KEYS[6]) }
