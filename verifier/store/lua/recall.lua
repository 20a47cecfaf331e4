-- List what was claimed under a lease, after the answer to the claim got lost, and renew it.
-- KEYS: due
-- ARGV: record prefix, length of the lease (s), lease
-- Gives entries like those of claim.lua.
local lease_ends_at = written(now + tonumber(ARGV[2]))
local claims = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', lease_ends_at)) do
  local record = ARGV[1] .. id
  local found = redis.call('HMGET', record, 'lease', 'delivery_status', 'delivery')
  if found[1] == ARGV[3] and found[2] == 'sending' then
    -- Writes, so that WAIT on this connection also covers the claim.
    redis.call('HSET', record, 'lease', ARGV[3])
    redis.call('ZADD', KEYS[1], lease_ends_at, id)
    claims[#claims + 1] = { 'claimed', id, found[3], redis.call('HGETALL', record) }
  end
end
return claims
