-- Make a deferred delivery due now or a little later, or owe one again that was given up, because an operator says so.
-- Recovery gives it a fresh job as soon as it looks. Safe to repeat. Works although Redis is full.
-- KEYS: record, due, dead letters
-- ARGV: verification id, delivery number (empty for the newest), least life left (s), max attempts,
--       how long from now on (s); less where the code would not live as long
-- Returns { what, delivery number }, what being "requeued", or why not: gone, superseded, approved, canceled,
-- max_attempts_reached, expired, too late, malformed, or what it is anyway: queued, sending, sent.
local id = ARGV[1]
local found = read_fields(KEYS[1], 'status', 'delivery', 'delivery_status', 'expires_at', 'attempts')
local number = found[2]
if not found[1] then
  return { 'gone', ARGV[2] }
end
if not whole(number) or not finite(found[4]) or not whole(found[5]) then
  return { 'malformed', ARGV[2] }
end
if ARGV[2] ~= '' and ARGV[2] ~= number then
  return { 'superseded', number }
end
if found[1] ~= 'pending' then
  return { found[1], number }
end
if found[3] == 'sent' or found[3] == 'sending' or found[3] == 'queued' then
  return { found[3], number }
end
local life_s = tonumber(found[4]) - now
if life_s < tonumber(ARGV[3]) then
  return { life_s > 0 and 'too late' or 'expired', number }
end
if tonumber(found[5]) >= tonumber(ARGV[4]) then
  return { 'max_attempts_reached', number }
end
local due_at = written(now + math.min(tonumber(ARGV[5]), life_s - tonumber(ARGV[3])))
write_although_full(KEYS[2])
redis.call('HSET', KEYS[1], 'delivery_status', 'deferred', 'next_try_at', due_at)
redis.call('ZADD', KEYS[2], due_at, id)
remove_dead_letter(KEYS[3], id, number)
return { 'requeued', number }
