-- Whether Redis has room for new work: a share of its memory is kept for finishing what was taken on.
-- Redis is asked twice a second at the most; between that the answer stands in a key of its own.
local function has_room(key, share)
  local known = redis.call('GET', key)
  if not known then
    local memory = redis.call('INFO', 'memory')
    local function number(name)
      return tonumber(string.match(memory, '\n' .. name .. ':(%d+)') or '0')
    end
    local limit = number('maxmemory')
    local used = number('used_memory') - number('mem_not_counted_for_evict')
    known = (limit == 0 or used < limit * tonumber(share)) and 'yes' or 'no'
    redis.call('DEL', key)  -- can't be refused, as SET might be now
    redis.call('SET', key, known, 'PX', 500)
  end
  return known == 'yes'
end
