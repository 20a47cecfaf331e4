-- Owe the mail once more, as the next delivery, if nothing has changed since the rules were applied.
-- KEYS: record, due, queue, rq:queues, job, sequence
-- ARGV: max owed, due at (s), now (s), verification id, job id, delivery number so far, job fields and values ...
-- Gives "accepted", "exists" (an earlier try of the same request arrived), "changed" or "full".
local found = redis.call('HMGET', KEYS[1], 'status', 'delivery', 'last_sent_at')
local before = tonumber(ARGV[6])
if found[1] == 'pending' and tonumber(found[2]) == before + 1 and found[3] == ARGV[3] then
  -- A write, so that WAIT on this connection also covers the earlier try.
  redis.call('HSET', KEYS[1], 'last_sent_at', ARGV[3])
  return 'exists'
end
if found[1] ~= 'pending' or tonumber(found[2]) ~= before then
  return 'changed'
end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[1]) then
  return 'full'
end
redis.call('HINCRBY', KEYS[1], 'sends', 1)
redis.call('HSET', KEYS[1], 'delivery', before + 1, 'delivery_status', 'queued', 'tries', 0,
  'queued_at', ARGV[3], 'last_sent_at', ARGV[3], 'sequence', redis.call('INCR', KEYS[6]))
redis.call('HDEL', KEYS[1], 'next_try_at', 'sent_at', 'relay_reply', 'lease', 'first_failed_at', 'last_failed_at')
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[4])
redis.call('HSET', KEYS[5], unpack(ARGV, 7))
redis.call('PEXPIRE', KEYS[5], math.max(1000, redis.call('PTTL', KEYS[1])))
redis.call('SADD', KEYS[4], KEYS[3])
redis.call('RPUSH', KEYS[3], ARGV[5])
return 'accepted'
