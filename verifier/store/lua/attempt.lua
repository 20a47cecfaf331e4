-- Count an attempt before it is judged, and towards the limits. Works although Redis is full.
-- KEYS: record, due
-- ARGV: max attempts, request id, fingerprint of the typed code, mark of the caller (empty: anybody),
--       number of limit arguments, limits ... (prelude/limits.lua), ids of the secret keys that can judge it ...
-- Returns false where there is no record, or none that the caller may know of, else { what, time (s), record fields and values ... }, what being "counted", "repeated"
-- (the same request came before, and was counted then), "closed", or "unknown key"; or { "limited", position of the limit, wait (s) },
-- and nothing is counted.
-- Each counted request leaves a field with its fingerprint, and there are no more of them than attempts.
local request = 'request:' .. ARGV[2]
local found = redis.call('HMGET', KEYS[1], 'status', 'expires_at', 'attempts', request, 'key_id', 'started_by', 'address_tag', 'address')
if not found[1] then
  return false
end
-- As domain/callers.py has it: who started it, and for a page any browser.
local by, caller = found[6] or '', ARGV[4]
if caller ~= '' and by ~= '' and by ~= caller and not (by:sub(1, 5) == 'page:' and caller:sub(1, 5) == 'page:') then
  return false
end
local what = 'unknown key'
local last_limit = 5 + tonumber(ARGV[5])
for position = last_limit + 1, #ARGV do
  if ARGV[position] == found[5] then
    what = 'closed'
  end
end
if what == 'closed' then
  write_although_full(KEYS[2])
  if found[4] then
    what = 'repeated'
    redis.call('HSET', KEYS[1], request, found[4])
  elseif found[1] == 'pending' and now < tonumber(found[2]) and tonumber(found[3]) < tonumber(ARGV[1]) then
    -- Records of an older release have no tag.
    local limits = read_limits(6, last_limit, found[7] or string.sub(redis.sha1hex(found[8] or ''), 1, 16))
    local which, wait_s = used_up(limits)
    if which then
      return { 'limited', which, written(wait_s) }
    end
    count(limits)
    what = 'counted'
    redis.call('HINCRBY', KEYS[1], 'attempts', 1)
    redis.call('HSET', KEYS[1], request, ARGV[3])
  end
end
return { what, written(now), redis.call('HGETALL', KEYS[1]) }
