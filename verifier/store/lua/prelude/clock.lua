-- One clock for all processes, whatever their hosts believe: Redis's own, in seconds.
-- Redis 6.2 needs to be told that a script which asks for the time is replicated by its effects; newer ones always
-- do that.
redis.replicate_commands()
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

-- Times are written with six digits behind the point. By two whole numbers, which takes half the time of '%.6f', and each start
-- writes a dozen.
local function written(seconds)
  local whole = math.floor(seconds)
  local millionths = math.floor((seconds - whole) * 1000000 + 0.5)
  if whole < 0 or millionths == 1000000 then
    return string.format('%.6f', seconds)
  end
  return string.format('%d.%06d', whole, millionths)
end
