-- Write down what became of a claimed delivery. Safe to repeat. Works although Redis is full.
-- KEYS: record, due, dead letters, late, ids that wait for a relay, time of the newest mail sent
-- ARGV: verification id, delivery number, lease, outcome, next try in (s; for deferred), the relay's reply,
--       life of a dead letter (s), most dead letters, a relay was asked (1 or 0), it waits for a relay that fails (1 or 0),
--       the relay may have taken it, but gave no answer (1 or 0)
-- Outcomes: sent, deferred, rejected, abandoned; queued gives back a delivery that was never tried.
-- Returns "settled", "repeated", "gone", "superseded" or "lease lost".
local function add_letter(as, found_as)
  add_dead_letter(KEYS[3], ARGV[7], ARGV[8], now, KEYS[1], ARGV[1], ARGV[2], as, found_as)
end
write_although_full(KEYS[2])
local function owe_no_longer()
  redis.call('ZREM', KEYS[4], ARGV[1])
  redis.call('ZREM', KEYS[5], ARGV[1])
  return redis.call('ZREM', KEYS[2], ARGV[1]) == 1
end
local found = read_fields(KEYS[1], 'status', 'delivery', 'delivery_status', 'lease', 'tries', 'first_failed_at', 'queued_at',
  'expires_at', 'ambiguous')
local tries = whole(found[5]) or 0
if not found[1] then
  if owe_no_longer() and ARGV[4] ~= 'sent' then
    add_letter('abandoned', 'gone')
  end
  return 'gone'
end
if found[2] ~= ARGV[2] then
  return 'superseded'
end
local outcome = ARGV[4]
if found[3] == 'sent' then
  redis.call('HSET', KEYS[1], 'delivery_status', 'sent')
  owe_no_longer()
  return 'repeated'
end
-- A mail that went out counts, whoever holds the lease by now; anything else is the holder's to say.
if outcome ~= 'sent' and found[4] ~= ARGV[3] then
  if found[3] then
    -- A write, so that WAIT on this connection also covers an earlier try of this very settlement, which ended the lease.
    redis.call('HSET', KEYS[1], 'delivery_status', found[3])
  end
  return 'lease lost'
end
if (outcome == 'deferred' or outcome == 'queued') and found[1] ~= 'pending' then
  outcome = 'abandoned'
end
redis.call('HSET', KEYS[1], 'delivery_status', outcome)
if ARGV[6] ~= '' then
  -- What is given back was not tried: the words of the try before stay.
  redis.call('HSET', KEYS[1], 'relay_reply', ARGV[6])
end
redis.call('HDEL', KEYS[1], 'lease', 'next_try_at')
if ARGV[11] == '1' then
  redis.call('HSET', KEYS[1], 'ambiguous', (whole(found[9]) or 0) + 1)
end
if ARGV[9] == '0' then
  redis.call('HSET', KEYS[1], 'tries', math.max(0, tries - 1))
elseif ARGV[4] ~= 'sent' then
  local failed_at = string.format('%.3f', now)
  local first = tries > 1 and found[6] or failed_at
  redis.call('HSET', KEYS[1], 'first_failed_at', first, 'last_failed_at', failed_at)
end
if outcome == 'deferred' then
  local next_try_at = written(now + tonumber(ARGV[5]))
  redis.call('HSET', KEYS[1], 'next_try_at', next_try_at)
  redis.call('ZADD', KEYS[2], next_try_at, ARGV[1])
  redis.call('ZADD', KEYS[4], finite(found[7]) and found[7] or written(now), ARGV[1])
  if ARGV[10] == '1' then
    -- By the end of its code's life, so that what nobody came to wake can be dropped.
    redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', written(now))
    redis.call('ZADD', KEYS[5], finite(found[8]) and found[8] or written(now), ARGV[1])
  end
elseif outcome == 'queued' then
  redis.call('ZADD', KEYS[2], written(now), ARGV[1])
else
  if outcome == 'sent' then
    redis.call('HSET', KEYS[1], 'sent_at', written(now))
    redis.call('SET', KEYS[6], written(now))
    if found[3] == 'abandoned' or found[3] == 'rejected' then
      -- Recovery had taken its silence for the end, or gave it to somebody whom the relay refused.
      remove_dead_letter(KEYS[3], ARGV[1], ARGV[2])
    end
  elseif outcome == 'rejected' or found[1] == 'pending' then
    -- A mail that nobody waits for any more, because the person is through, is no loss.
    add_letter(outcome)
  end
  owe_no_longer()
end
return 'settled'
