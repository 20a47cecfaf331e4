-- Renew the leases of deliveries in flight.
-- KEYS: due
-- ARGV: record prefix, length of the lease (s), then pairs of verification id and lease
-- Gives how many of them are still ours.
local lease_ends_at = written(now + tonumber(ARGV[2]))
local ours = 0
for position = 3, #ARGV, 2 do
  local found = redis.call('HMGET', ARGV[1] .. ARGV[position], 'lease', 'delivery_status')
  if found[1] == ARGV[position + 1] and found[2] == 'sending' then
    redis.call('ZADD', KEYS[1], lease_ends_at, ARGV[position])
    ours = ours + 1
  end
end
return ours
