-- List deliveries that are due and that nobody has acknowledged to work on.
-- KEYS: due
-- ARGV: record prefix, how many at the most
-- Gives pairs of verification id and delivery number (0 where the record is gone).
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
local overdue = {}
for _, id in ipairs(ids) do
  overdue[#overdue + 1] = id
  overdue[#overdue + 1] = redis.call('HGET', ARGV[1] .. id, 'delivery') or '0'
end
return overdue
