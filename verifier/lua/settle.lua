-- Write down what became of a claimed delivery. Safe to repeat.
-- KEYS: record, due
-- ARGV: verification id, delivery number, lease, outcome, next try in (s; for deferred), the relay's reply
-- Outcomes: sent, deferred, rejected, abandoned; queued gives back a delivery that was never tried.
-- Gives "settled", "repeated", "gone", "superseded" or "lease lost".
-- One clock for all workers, whatever their hosts believe. Redis 6.2 needs to be told that a script which
-- asks for the time is replicated by its effects; newer ones always do that.
redis.replicate_commands()
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local found = redis.call('HMGET', KEYS[1], 'status', 'delivery', 'delivery_status', 'lease')
if not found[1] then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 'gone'
end
if found[2] ~= ARGV[2] then
  return 'superseded'
end
local outcome = ARGV[4]
if found[3] == 'sent' then
  redis.call('HSET', KEYS[1], 'delivery_status', 'sent')
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 'repeated'
end
-- A mail that went out counts, whoever holds the lease by now; anything else is the holder's to say.
if outcome ~= 'sent' and found[4] ~= ARGV[3] then
  return 'lease lost'
end
if (outcome == 'deferred' or outcome == 'queued') and found[1] ~= 'pending' then
  outcome = 'abandoned'
end
redis.call('HSET', KEYS[1], 'delivery_status', outcome, 'relay_reply', ARGV[6])
redis.call('HDEL', KEYS[1], 'lease', 'next_try_at')
if outcome == 'deferred' then
  local next_try_at = string.format('%.6f', now + tonumber(ARGV[5]))
  redis.call('HSET', KEYS[1], 'next_try_at', next_try_at)
  redis.call('ZADD', KEYS[2], next_try_at, ARGV[1])
elseif outcome == 'queued' then
  redis.call('HINCRBY', KEYS[1], 'tries', -1)
  redis.call('ZADD', KEYS[2], string.format('%.6f', now), ARGV[1])
else
  if outcome == 'sent' then
    redis.call('HSET', KEYS[1], 'sent_at', string.format('%.6f', now))
  end
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 'settled'
