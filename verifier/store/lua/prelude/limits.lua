-- Limits, counted by GCRA (the generic cell rate algorithm): for each of its rates a limit's key holds the moment from which on
-- all of the rate's allowance is there again. Each count moves it on by a step, and it may not be further away than the
-- window. The key lives until the last of these moments, and a minute more at the most.
-- A list of limits stands in ARGV as pairs of key and rates, each of these as three packed numbers: window (s), step (s) and
-- room for that moment; in a key, @ stands for the tag of the address.
-- This runs with each request, so a limit is one flat list of these numbers, and its key.

-- A key that is counted in again and again lives up to a minute longer than it needs: most writes then leave its end as it is, since
-- to set it costs a master and its replicas as much as the write itself.
local SPARE_MS = 60000
local rates_of = { [24] = '>ddd', [48] = '>dddddd', [72] = '>ddddddddd' }

-- Read the limits in ARGV from one position to another, and what is left of each.
local function read_limits(first, last, address_tag)
  local limits = {}
  for position = first, last, 2 do
    local key, packed = ARGV[position], ARGV[position + 1]
    if address_tag then
      key = string.gsub(key, '@', address_tag)
    end
    local limit = { struct.unpack(rates_of[#packed], packed) }
    local found = redis.pcall('GET', key)
    limit.key, limit.size, limit.is_there = key, #packed / 8, type(found) == 'string'
    local times = limit.is_there and { string.match(found, '^(%S+) ?(%S*) ?(%S*)$') }
    for rate = 1, limit.size, 3 do
      local whole_at = now
      if times then
        -- A master whose clock was ahead of this one's must not keep anybody out for longer than the window.
        whole_at = math.max(now, math.min(finite(times[(rate + 2) / 3]) or now, now + limit[rate]))
      end
      limit[rate + 2] = whole_at
    end
    limits[#limits + 1] = limit
  end
  return limits
end

local function write_limit(limit)
  local last = limit[3]
  local text = written(last)
  for rate = 4, limit.size, 3 do
    local whole_at = limit[rate + 2]
    text = text .. ' ' .. written(whole_at)
    last = math.max(last, whole_at)
  end
  local life_ms = math.ceil((last - now) * 1000)
  if life_ms <= 0 then
    redis.call('DEL', limit.key)
    return
  end
  local left_ms = limit.is_there and redis.call('PTTL', limit.key) or 0
  if left_ms >= life_ms and left_ms <= life_ms + SPARE_MS then
    redis.call('SET', limit.key, text, 'KEEPTTL')
  else
    redis.call('SET', limit.key, text, 'PX', math.max(SPARE_MS, life_ms + (limit.is_there and SPARE_MS or 0)))
  end
end

-- Return the position of the limit that is used up for longest, and for how long (s); nothing where none is.
local function used_up(limits)
  local which, longest_s
  for position, limit in ipairs(limits) do
    for rate = 1, limit.size, 3 do
      local step = limit[rate + 1]
      local wait_s = limit[rate + 2] + step - limit[rate] - now
      -- Half a step for rounding.
      if wait_s > step / 2 and wait_s > (longest_s or 0) then
        which, longest_s = position, wait_s
      end
    end
  end
  return which, longest_s
end

-- Take one from each limit.
local function count(limits)
  for _, limit in ipairs(limits) do
    for rate = 1, limit.size, 3 do
      limit[rate + 2] = limit[rate + 2] + limit[rate + 1]
    end
    write_limit(limit)
  end
end

-- Give one back to each limit.
local function give_back(limits)
  for _, limit in ipairs(limits) do
    for rate = 1, limit.size, 3 do
      limit[rate + 2] = math.max(now, limit[rate + 2] - limit[rate + 1])
    end
    write_limit(limit)
  end
end
