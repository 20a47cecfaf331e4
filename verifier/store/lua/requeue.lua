-- Give an overdue delivery a fresh RQ job, unless its job still waits in the queue. Works although Redis is full.
-- KEYS: record, due, queue, rq:queues, job, sequence, dead letters, late
-- ARGV: verification id, delivery number, look again in (s), job id, least life left (s),
--       expired leases are up for grabs (1 or 0), record prefix, life of a dead letter (s), most dead letters,
--       job fields and values ...
-- Returns "requeued", "waiting", "held", "abandoned", "gone", "settled", "changed", "malformed" or "not due".
local id = ARGV[1]
local look_again_at = written(now + tonumber(ARGV[3]))
local score = redis.call('ZSCORE', KEYS[2], id)
if not score or tonumber(score) > now then
  return 'not due'
end
write_although_full(KEYS[2])
local found = redis.pcall('HMGET', KEYS[1], 'status', 'delivery', 'delivery_status', 'expires_at', 'sequence', 'queued_at')
local function owe_no_longer()
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZREM', KEYS[8], id)
end
if found.err then
  owe_no_longer()
  add_dead_letter(KEYS[7], ARGV[8], ARGV[9], now, KEYS[1], id, ARGV[2], 'abandoned', 'malformed')
  return 'malformed'
end
if not found[1] then
  owe_no_longer()
  add_dead_letter(KEYS[7], ARGV[8], ARGV[9], now, KEYS[1], id, ARGV[2], 'abandoned', 'gone')
  return 'gone'
end
if found[2] ~= ARGV[2] and whole(found[2]) then
  return 'changed'
end
local status = found[3]
if status ~= 'queued' and status ~= 'sending' and status ~= 'deferred' then
  owe_no_longer()
  return 'settled'
end
if not whole(found[2]) or not finite(found[4]) or not whole(found[5]) or not finite(found[6]) then
  owe_no_longer()
  redis.call('HSET', KEYS[1], 'delivery_status', 'abandoned')
  add_dead_letter(KEYS[7], ARGV[8], ARGV[9], now, KEYS[1], id, ARGV[2], 'abandoned', 'malformed')
  return 'malformed'
end
if status == 'sending' and ARGV[6] == '0' then
  redis.call('ZADD', KEYS[2], look_again_at, id)
  return 'held'
end
if found[1] ~= 'pending' or tonumber(found[4]) - now < tonumber(ARGV[5]) then
  owe_no_longer()
  redis.call('HSET', KEYS[1], 'delivery_status', 'abandoned')
  redis.call('HDEL', KEYS[1], 'lease', 'next_try_at')
  if found[1] == 'pending' then
    add_dead_letter(KEYS[7], ARGV[8], ARGV[9], now, KEYS[1], id, ARGV[2], 'abandoned', status)
  end
  return 'abandoned'
end
if status == 'queued' then
  local head_sequence, ours_may_wait = queue_head(KEYS[3], ARGV[7])
  if head_sequence and whole(found[5]) >= head_sequence or not head_sequence and ours_may_wait then
    redis.call('ZADD', KEYS[2], look_again_at, id)
    return 'waiting'
  end
end
redis.call('HDEL', KEYS[1], 'lease', 'next_try_at')
redis.call('HSET', KEYS[1], 'delivery_status', 'queued', 'sequence', redis.call('INCR', KEYS[6]))
redis.call('ZADD', KEYS[2], look_again_at, id)
redis.call('ZADD', KEYS[8], found[6], id)
enqueue(KEYS[4], KEYS[3], KEYS[5], ARGV[4], redis.call('PTTL', KEYS[1]), 10)
return 'requeued'
