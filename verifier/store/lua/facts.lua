-- What tells whether mail goes out, at one moment.
-- KEYS: due, late, queue, time of the newest mail sent, workers
-- ARGV: record prefix, prefix of the workers' keys, a worker is alive for (s) after its last word
-- Returns { time (s), mails owed, when the oldest of them was accepted (s, or ""), when the newest mail was sent (s, or ""),
--           { what each living worker says (JSON) ... } }.
-- A mail that is late has an entry in that set; the others stand in the queue in the order of their acceptance.
local oldest
local late = redis.call('ZRANGE', KEYS[2], 0, 19, 'WITHSCORES')
for position = 1, #late, 2 do
  -- A worker of an older release settles a mail without taking it out of this set; extend.lua does.
  if not oldest and redis.call('ZSCORE', KEYS[1], late[position]) then
    oldest = tonumber(late[position + 1])
  end
end
for _, job in ipairs(redis.call('LRANGE', KEYS[3], 0, 19)) do
  local id, number = string.match(job, '^(%x+)%-(%d+)$')
  local found = id and read_fields(ARGV[1] .. id, 'delivery', 'delivery_status', 'queued_at') or {}
  if found[1] and found[1] == number and found[2] == 'queued' and finite(found[3]) then
    oldest = math.min(oldest or now, finite(found[3]))
    break
  end
end
local says = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], written(now - tonumber(ARGV[3])), '+inf')) do
  says[#says + 1] = redis.call('GET', ARGV[2] .. name) or nil
end
return { written(now), redis.call('ZCARD', KEYS[1]), oldest and written(oldest) or '', redis.call('GET', KEYS[4]) or '', says }
