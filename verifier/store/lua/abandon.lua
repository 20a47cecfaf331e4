-- Give up a mail that is owed because an operator says so. It leaves no dead letter. Safe to repeat. Works although Redis is full.
-- KEYS: record, due, late, waiting for a relay
-- ARGV: verification id, delivery number
-- Returns "discarded"; "sending" while a worker has claimed it; "changed" where this delivery is not owed (any more).
local found = read_fields(KEYS[1], 'delivery', 'delivery_status')
if found[1] ~= ARGV[2] then
  return 'changed'
end
if found[2] == 'sending' then
  return 'sending'
end
local is_owed = found[2] == 'queued' or found[2] == 'deferred'
local is_repeated = found[2] == 'abandoned' and not redis.call('ZSCORE', KEYS[2], ARGV[1])
if not is_owed and not is_repeated then
  return 'changed'
end
write_although_full(KEYS[2])
redis.call('HDEL', KEYS[1], 'next_try_at')
redis.call('HSET', KEYS[1], 'delivery_status', 'abandoned')
for position = 2, 4 do
  redis.call('ZREM', KEYS[position], ARGV[1])
end
return 'discarded'
