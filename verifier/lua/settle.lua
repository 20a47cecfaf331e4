-- Write down what became of a claimed delivery. Safe to repeat.
-- KEYS: record, due
-- ARGV: verification id, delivery number, lease, outcome (sent, deferred, rejected, abandoned), now (s),
--       next try at (s; for deferred), the relay's reply
-- Gives "settled", "repeated", "gone", "superseded" or "lease lost".
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
if outcome == 'deferred' and found[1] ~= 'pending' then
  outcome = 'abandoned'
end
redis.call('HSET', KEYS[1], 'delivery_status', outcome, 'relay_reply', ARGV[7])
redis.call('HDEL', KEYS[1], 'lease', 'next_try_at')
if outcome == 'deferred' then
  redis.call('HSET', KEYS[1], 'next_try_at', ARGV[6])
  redis.call('ZADD', KEYS[2], ARGV[6], ARGV[1])
else
  if outcome == 'sent' then
    redis.call('HSET', KEYS[1], 'sent_at', ARGV[5])
  end
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 'settled'
