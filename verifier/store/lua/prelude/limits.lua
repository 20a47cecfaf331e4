-- Limits, counted by GCRA (the generic cell rate algorithm): for each of its rates a limit's key holds the moment from which on
-- all of the rate's allowance is there again. Each count moves it on by a step, and it may not be further away than the
-- window. The key lives until the last of these moments, so never longer than the longest window.
-- A list of limits stands in ARGV as pairs of key and rates, each of these as window/step (s); in a key, @ stands for the tag of
-- the address.

-- Read the limits in ARGV from one position to another, and what is left of each.
local function read_limits(first, last, address_tag)
  local limits = {}
  for position = first, last, 2 do
    local key, rates = ARGV[position], {}
    if address_tag then
      key = string.gsub(key, '@', address_tag)
    end
    local found = redis.pcall('GET', key)
    local times = { string.match(type(found) == 'string' and found or '', '^(%S+) ?(%S*) ?(%S*)$') }
    for window_text, step_text in string.gmatch(ARGV[position + 1], '(%S+)/(%S+)') do
      local window, step = tonumber(window_text), tonumber(step_text)
      -- A master whose clock was ahead of this one's must not keep anybody out for longer than the window.
      local whole_at = math.min(finite(times[#rates + 1]) or now, now + window)
      rates[#rates + 1] = { window = window, step = step, whole_at = math.max(whole_at, now) }
    end
    limits[#limits + 1] = { key = key, rates = rates }
  end
  return limits
end

local function write_limit(limit)
  local texts, last = {}, now
  for number, rate in ipairs(limit.rates) do
    texts[number] = written(rate.whole_at)
    last = math.max(last, rate.whole_at)
  end
  redis.call('SET', limit.key, table.concat(texts, ' '), 'PX', math.max(1, math.ceil((last - now) * 1000)))
end

-- Return the position of the limit that is used up for longest, and for how long (s); nothing where none is.
local function used_up(limits)
  local which, longest_s
  for position, limit in ipairs(limits) do
    for _, rate in ipairs(limit.rates) do
      local wait_s = rate.whole_at + rate.step - rate.window - now
      -- Half a step for rounding.
      if wait_s > rate.step / 2 and wait_s > (longest_s or 0) then
        which, longest_s = position, wait_s
      end
    end
  end
  return which, longest_s
end

-- Take one from each limit.
local function count(limits)
  for _, limit in ipairs(limits) do
    for _, rate in ipairs(limit.rates) do
      rate.whole_at = rate.whole_at + rate.step
    end
    write_limit(limit)
  end
end

-- Give one back to each limit.
local function give_back(limits)
  for _, limit in ipairs(limits) do
    for _, rate in ipairs(limit.rates) do
      rate.whole_at = math.max(now, rate.whole_at - rate.step)
    end
    write_limit(limit)
  end
end
