-- End a pending verification: approve or cancel it, once. What is still owed is owed no longer.
-- KEYS: record, due
-- ARGV: new status, request id, verification id
-- Gives false where there is no record, else { ended by this request or not, record fields and values ... }.
local found = redis.call('HMGET', KEYS[1], 'status', 'ended_by', 'delivery_status')
if not found[1] then
  return false
end
local ours = 0
if found[1] == 'pending' then
  ours = 1
  redis.call('HSET', KEYS[1], 'status', ARGV[1], 'ended_by', ARGV[2])
  if found[3] == 'queued' or found[3] == 'deferred' then
    redis.call('HSET', KEYS[1], 'delivery_status', 'abandoned')
    redis.call('ZREM', KEYS[2], ARGV[3])
  end
elseif found[2] == ARGV[2] then
  ours = 1
  -- A write, so that WAIT on this connection also covers the earlier try.
  redis.call('HSET', KEYS[1], 'ended_by', ARGV[2])
end
return { ours, redis.call('HGETALL', KEYS[1]) }
