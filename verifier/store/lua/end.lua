-- End a pending verification: approve or cancel it, once. What is still owed is owed no longer. Works although Redis is
-- full, and makes room: the job goes, and the record's life is cut. The attempt that approves it is given back to the limits,
-- which count wrong codes.
-- KEYS: record, due, late
-- ARGV: new status, request id, verification id, job prefix, life of the record from now on (s),
--       limits ... (prelude/limits.lua)
-- Returns false where there is no record, else { ended by this request or not, time (s), record fields and values ... }.
local found = redis.call('HMGET', KEYS[1], 'status', 'ended_by', 'delivery_status', 'delivery', 'address_tag', 'address')
if not found[1] then
  return false
end
local ours = 0
write_although_full(KEYS[2])
if found[1] == 'pending' then
  ours = 1
  give_back(read_limits(6, #ARGV, found[5] or string.sub(redis.sha1hex(found[6] or ''), 1, 16)))
  redis.call('DEL', ARGV[4] .. ARGV[3] .. '-' .. (found[4] or ''))
  redis.call('HSET', KEYS[1], 'status', ARGV[1], 'ended_by', ARGV[2])
  if found[3] == 'queued' or found[3] == 'deferred' then
    redis.call('HSET', KEYS[1], 'delivery_status', 'abandoned')
    redis.call('ZREM', KEYS[2], ARGV[3])
    redis.call('ZREM', KEYS[3], ARGV[3])
  end
  local life_ms = math.floor(tonumber(ARGV[5]) * 1000)
  if redis.call('PTTL', KEYS[1]) > life_ms then
    redis.call('PEXPIRE', KEYS[1], life_ms)
  end
elseif found[2] then
  ours = found[2] == ARGV[2] and 1 or 0
  -- A write, so that WAIT on this connection also covers what ended it: an earlier try, or another request.
  redis.call('HSET', KEYS[1], 'ended_by', found[2])
end
return { ours, written(now), redis.call('HGETALL', KEYS[1]) }
