-- Dead letters: stands, behind the clock and `records`, before each script that gives deliveries up, so that giving up and keeping what
-- operators need of it are one step.
-- A letter is one JSON text with a time to live; the index is a sorted set of <verification id>-<delivery
-- number>, scored by when each was given up. It never holds more than `most`, nor what has lived its time.

local function add_dead_letter(index, life_s, most, now, record, id, number, outcome, found_as)
  local names = { 'address', 'tries', 'queued_at', 'first_failed_at', 'last_failed_at', 'expires_at', 'relay_reply' }
  local values = read_fields(record, unpack(names))
  local letter = { outcome = outcome, found_as = found_as }
  for position, name in ipairs(names) do
    letter[name] = values[position] or nil
  end
  local life_ms = math.floor(tonumber(life_s) * 1000)
  redis.call('SET', index .. ':' .. id .. '-' .. number, cjson.encode(letter), 'PX', life_ms)
  redis.call('ZADD', index, written(now), id .. '-' .. number)
  redis.call('PEXPIRE', index, life_ms)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', written(now - tonumber(life_s)))
  local last_surplus = -tonumber(most) - 1
  for _, name in ipairs(redis.call('ZRANGE', index, 0, last_surplus)) do
    redis.call('DEL', index .. ':' .. name)
  end
  redis.call('ZREMRANGEBYRANK', index, 0, last_surplus)
end

local function remove_dead_letter(index, id, number)
  redis.call('ZREM', index, id .. '-' .. number)
  redis.call('DEL', index .. ':' .. id .. '-' .. number)
end
