-- How far the queue has got. It is first in, first out, and each job was given a sequence number when it was queued: a
-- mail whose number is behind the first job's still waits there; one that should have come before it is lost.
-- Returns that number, and whether a job may wait where nobody looked. Foreign jobs say nothing: workers put
-- them back, so they would stand at the head for as long as there are no others. A job that is superseded or malformed says
-- nothing either, but goes with the next claim.
local function queue_head(queue, record_prefix)
  local ours_may_wait = false
  for _, job in ipairs(redis.call('LRANGE', queue, 0, 19)) do
    local id, number = string.match(job, '^(%x+)%-(%d+)$')
    if id and #id == 32 then
      local found = read_fields(record_prefix .. id, 'delivery', 'sequence')
      if found[1] == number and whole(found[2]) then
        return whole(found[2]), true
      end
      ours_may_wait = true
    end
  end
  return nil, ours_may_wait
end
