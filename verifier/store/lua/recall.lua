-- List what was claimed under a lease, after the answer to the claim got lost, and renew it.
-- KEYS: due, ids claimed under this lease
-- ARGV: record prefix, length of the lease (s), lease
-- Returns the time (s) and entries like those of claim.lua.
local lease_ends_at = written(now + tonumber(ARGV[2]))
local claims = {}
write_although_full(KEYS[1])
for _, id in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  local record = ARGV[1] .. id
  local found = read_fields(record, 'lease', 'delivery_status', 'delivery')
  if found[1] == ARGV[3] and found[2] == 'sending' then
    -- Writes, so that WAIT on this connection also covers the claim.
    redis.call('HSET', record, 'lease', ARGV[3])
    redis.call('ZADD', KEYS[1], lease_ends_at, id)
    claims[#claims + 1] = { 'claimed', id, found[3], redis.call('HGETALL', record) }
  end
end
return { written(now), claims }
