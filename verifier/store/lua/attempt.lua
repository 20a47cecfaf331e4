-- Count an attempt before it is judged.
-- KEYS: record
-- ARGV: now (s), max attempts, request id
-- Gives false where there is no record, else { counted or not, record fields and values ... }.
-- A repeat of the same request, after an answer got lost, is not counted again: each counted request leaves a
-- field, and there are no more of them than attempts.
local request = 'request:' .. ARGV[3]
local found = redis.call('HMGET', KEYS[1], 'status', 'expires_at', 'attempts', request)
if not found[1] then
  return false
end
local repeated = found[4]
local open = found[1] == 'pending' and tonumber(ARGV[1]) < tonumber(found[2])
local counted = 0
if repeated then
  counted = 1
  redis.call('HSET', KEYS[1], request, '')
elseif open and tonumber(found[3]) < tonumber(ARGV[2]) then
  counted = 1
  redis.call('HINCRBY', KEYS[1], 'attempts', 1)
  redis.call('HSET', KEYS[1], request, '')
end
return { counted, redis.call('HGETALL', KEYS[1]) }
