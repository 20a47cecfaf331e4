-- One clock for all processes, whatever their hosts believe: Redis's own, in seconds.
-- Redis 6.2 needs to be told that a script which asks for the time is replicated by its effects; newer ones always
-- do that.
redis.replicate_commands()
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

local function written(seconds)
  return string.format('%.6f', seconds)
end
