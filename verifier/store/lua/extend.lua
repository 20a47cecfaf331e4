-- Renew the leases of deliveries in flight, and tidy the set of late ones. Works although Redis is full.
-- KEYS: due, late
-- ARGV: record prefix, length of the lease (s), a mail is late after (s), then pairs of verification id and lease
-- Returns for each pair "held", "unwanted" (the verification has ended, so the mail need not go out any more) or "lost".
write_although_full(KEYS[1])
local lease_ends_at = written(now + tonumber(ARGV[2]))
local replies = {}
for position = 4, #ARGV, 2 do
  local id = ARGV[position]
  local found = read_fields(ARGV[1] .. id, 'lease', 'delivery_status', 'status', 'queued_at')
  local reply = 'lost'
  if found[1] == ARGV[position + 1] and found[2] == 'sending' then
    reply = found[3] == 'pending' and 'held' or 'unwanted'
    redis.call('ZADD', KEYS[1], lease_ends_at, id)
    local queued_at = finite(found[4])
    if queued_at and now - queued_at > tonumber(ARGV[3]) then
      redis.call('ZADD', KEYS[2], found[4], id)
    end
  end
  replies[#replies + 1] = reply
end
-- What stands there and is not owed was settled by a worker of an older release, which does not know that set.
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, 19)) do
  if not redis.call('ZSCORE', KEYS[1], id) then
    redis.call('ZREM', KEYS[2], id)
  end
end
return replies
