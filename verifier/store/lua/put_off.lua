-- Put off looking after deliveries whose job still waits in the queue.
-- The queue is first in, first out, and each job was given a sequence number when it was queued: one that is
-- behind the head of the queue still waits there (requeue.lua judges the same way, one delivery at a time). The
-- further behind, the later it is looked after again, so that a long queue is not looked through all the time.
-- KEYS: due, queue
-- ARGV: record prefix, how many are looked at, least life left (s), look again in (s) at the least,
--       and at the most, jobs a second by which a queue surely moves on
-- Gives how many were put off.
local least_life_s, least_s, most_s, speed = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local head = redis.call('LINDEX', KEYS[2], 0)
local head_id, head_number = string.match(head or '', '^(%x+)%-(%d+)$')
if not head_id then
  return 0
end
local at_head = redis.call('HMGET', ARGV[1] .. head_id, 'delivery', 'sequence')
-- A superseded job says nothing: its record has the number of the newer one, which is far behind.
if at_head[1] ~= head_number or not at_head[2] then
  return 0
end
local put_off = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])) do
  local found = redis.call('HMGET', ARGV[1] .. id, 'status', 'delivery_status', 'expires_at', 'sequence')
  if found[1] == 'pending' and found[2] == 'queued' and tonumber(found[3]) - now >= least_life_s then
    local behind = tonumber(found[4]) - tonumber(at_head[2])
    if behind >= 0 then
      local again_in_s = math.min(most_s, math.max(least_s, behind / speed))
      redis.call('ZADD', KEYS[1], written(now + again_in_s), id)
      put_off = put_off + 1
    end
  end
end
return put_off
