-- When the mail that was accepted first of those owed was accepted (s), or nil. Behind `records`.
-- A mail that is late has an entry in that set; the others stand in the queue in the order of their acceptance.
local function oldest_owed(due, late, queue, record_prefix, now)
  local oldest
  local found_late = redis.call('ZRANGE', late, 0, 19, 'WITHSCORES')
  for position = 1, #found_late, 2 do
    -- A worker of an older release settles a mail without taking it out of this set; extend.lua does.
    if not oldest and redis.call('ZSCORE', due, found_late[position]) then
      oldest = tonumber(found_late[position + 1])
    end
  end
  for _, job in ipairs(redis.call('LRANGE', queue, 0, 19)) do
    local id, number = string.match(job, '^(%x+)%-(%d+)$')
    local found = id and read_fields(record_prefix .. id, 'delivery', 'delivery_status', 'queued_at') or {}
    if found[1] and found[1] == number and found[2] == 'queued' and finite(found[3]) then
      return math.min(oldest or now, finite(found[3]))
    end
  end
  return oldest
end
