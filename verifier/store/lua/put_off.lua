-- Put off looking after deliveries whose job still waits in the queue. Works although Redis is full.
-- requeue.lua judges the same way, one delivery at a time (prelude/queue_head.lua). The further behind, the later it is
-- looked after again, so that a long queue is not looked through all the time.
-- KEYS: due, queue
-- ARGV: record prefix, how many are looked at, least life left (s), look again in (s) at the least,
--       and at the most, jobs a second by which a queue surely moves on
-- Returns how many were put off.
local least_life_s, least_s, most_s, speed = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local head_sequence = queue_head(KEYS[2], ARGV[1])
if not head_sequence then
  return 0
end
local put_off = 0
write_although_full(KEYS[1])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])) do
  local found = read_fields(ARGV[1] .. id, 'status', 'delivery_status', 'expires_at', 'sequence')
  if found[1] == 'pending' and found[2] == 'queued' and (finite(found[3]) or 0) - now >= least_life_s then
    local behind = (whole(found[4]) or -1) - head_sequence
    if behind >= 0 then
      local again_in_s = math.min(most_s, math.max(least_s, behind / speed))
      redis.call('ZADD', KEYS[1], written(now + again_in_s), id)
      put_off = put_off + 1
    end
  end
end
return put_off
