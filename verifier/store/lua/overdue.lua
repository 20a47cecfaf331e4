-- List deliveries that are due and that nobody has acknowledged to work on.
-- KEYS: due
-- ARGV: record prefix, how many at the most
-- Returns pairs of verification id and delivery number (0 where the record is gone or malformed).
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
local overdue = {}
for _, id in ipairs(ids) do
  overdue[#overdue + 1] = id
  local delivery = redis.pcall('HGET', ARGV[1] .. id, 'delivery')
  overdue[#overdue + 1] = type(delivery) == 'string' and string.match(delivery, '^%d+$') or '0'
end
return overdue
