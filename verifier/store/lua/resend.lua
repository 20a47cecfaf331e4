-- Owe the mail once more, as the next delivery, if nothing has changed since the rules were applied, and count it towards
-- the limits.
-- KEYS: record, due, queue, rq:queues, job, sequence, room, late
-- ARGV: max owed, look after it in (s), verification id, job id, delivery number so far, mark of the request (its id, and
--       `=` and a fingerprint where there is one),
--       share of the memory for new work, number of limit arguments, limits ... (prelude/limits.lua),
--       job fields and values ...
-- Returns { "accepted" }, { "exists" } (an earlier try of the same request arrived), { "changed" }, { "full" } or
-- { "limited", position of the limit, wait (s) }.
local found = redis.call('HMGET', KEYS[1], 'status', 'delivery', 'resent_by')
local before_it = found[3] or ''
if string.find(before_it, string.match(ARGV[6], '^[^=]+'), 1, true) then
  -- A write, so that WAIT on this connection also covers the earlier try; the first can't be refused.
  redis.call('HDEL', KEYS[1], '')
  redis.call('HSET', KEYS[1], 'resent_by', before_it)
  return { 'exists' }
end
local before = tonumber(ARGV[5])
if found[1] ~= 'pending' or tonumber(found[2]) ~= before then
  return { 'changed' }
end
if not has_room(KEYS[7], ARGV[7]) or redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[1]) then
  return { 'full' }
end
local first_job = 9 + tonumber(ARGV[8])
local limits = read_limits(9, first_job - 1)
local which, wait_s = used_up(limits)
if which then
  return { 'limited', which, written(wait_s) }
end
count(limits)
local sent_at = string.format('%.3f', now)
redis.call('HINCRBY', KEYS[1], 'sends', 1)
redis.call('HSET', KEYS[1], 'delivery', before + 1, 'delivery_status', 'queued', 'tries', 0, 'resent_by', before_it == '' and ARGV[6] or before_it .. ' ' .. ARGV[6],
  'queued_at', sent_at, 'last_sent_at', sent_at, 'sequence', redis.call('INCR', KEYS[6]))
redis.call('HDEL', KEYS[1], 'next_try_at', 'sent_at', 'relay_reply', 'lease', 'first_failed_at', 'last_failed_at', 'ambiguous')
redis.call('ZADD', KEYS[2], written(now + tonumber(ARGV[2])), ARGV[3])
redis.call('ZREM', KEYS[8], ARGV[3])
enqueue(KEYS[4], KEYS[3], KEYS[5], ARGV[4], redis.call('PTTL', KEYS[1]), first_job)
return { 'accepted' }
