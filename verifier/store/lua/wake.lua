-- Have deferred mails tried soon, because the relay that they waited for answers again.
-- KEYS: ids that wait for a relay, due
-- ARGV: record prefix, how many, spread over (s)
-- Returns how many were looked at; fewer than asked for means that no others wait.
local popped = redis.call('ZPOPMIN', KEYS[1], ARGV[2])
for position = 1, #popped, 2 do
  local id = popped[position]
  local record = ARGV[1] .. id
  local found = read_fields(record, 'delivery_status', 'next_try_at')
  local at = now + tonumber(ARGV[3]) * (position - 1) / #popped
  if found[1] == 'deferred' and at < (tonumber(found[2]) or 0) then
    redis.call('ZADD', KEYS[2], written(at), id)
    redis.call('HSET', record, 'next_try_at', written(at))
  end
end
return #popped / 2
