-- Give an overdue delivery a fresh RQ job, unless its job still waits in the queue.
-- The queue is first in, first out, and each job was given a sequence number when it was queued. So a job
-- that is behind the head of the queue still waits there; one that should have come before it is lost.
-- KEYS: record, due, queue, rq:queues, job, sequence, dead letters
-- ARGV: verification id, delivery number, look again in (s), job id, least life left (s),
--       expired leases are up for grabs (1 or 0), record prefix, life of a dead letter (s), most dead letters,
--       job fields and values ...
-- Gives "requeued", "waiting", "held", "abandoned", "gone", "settled", "changed" or "not due".
local id = ARGV[1]
local look_again_at = written(now + tonumber(ARGV[3]))
local score = redis.call('ZSCORE', KEYS[2], id)
if not score or tonumber(score) > now then
  return 'not due'
end
local found = redis.call('HMGET', KEYS[1], 'status', 'delivery', 'delivery_status', 'expires_at', 'sequence')
if not found[1] then
  redis.call('ZREM', KEYS[2], id)
  add_dead_letter(KEYS[7], ARGV[8], ARGV[9], now, KEYS[1], id, ARGV[2], 'abandoned', 'gone')
  return 'gone'
end
if found[2] ~= ARGV[2] then
  return 'changed'
end
local status = found[3]
if status ~= 'queued' and status ~= 'sending' and status ~= 'deferred' then
  redis.call('ZREM', KEYS[2], id)
  return 'settled'
end
if status == 'sending' and ARGV[6] == '0' then
  redis.call('ZADD', KEYS[2], look_again_at, id)
  return 'held'
end
if found[1] ~= 'pending' or tonumber(found[4]) - now < tonumber(ARGV[5]) then
  redis.call('HSET', KEYS[1], 'delivery_status', 'abandoned')
  redis.call('HDEL', KEYS[1], 'lease', 'next_try_at')
  redis.call('ZREM', KEYS[2], id)
  if found[1] == 'pending' then
    add_dead_letter(KEYS[7], ARGV[8], ARGV[9], now, KEYS[1], id, ARGV[2], 'abandoned', status)
  end
  return 'abandoned'
end
if status == 'queued' then
  local head = redis.call('LINDEX', KEYS[3], 0)
  if head then
    local head_id, head_number = string.match(head, '^(%x+)%-(%d+)$')
    local at_head = head_id and redis.call('HMGET', ARGV[7] .. head_id, 'delivery', 'sequence') or {}
    -- A superseded job says nothing: its record has the number of the newer one, which is far behind.
    local head_sequence = at_head[1] == head_number and at_head[2]
    if not head_sequence or tonumber(found[5]) >= tonumber(head_sequence) then
      redis.call('ZADD', KEYS[2], look_again_at, id)
      return 'waiting'
    end
  end
end
redis.call('HSET', KEYS[1], 'delivery_status', 'queued', 'sequence', redis.call('INCR', KEYS[6]))
redis.call('HDEL', KEYS[1], 'lease', 'next_try_at')
redis.call('ZADD', KEYS[2], look_again_at, id)
redis.call('HSET', KEYS[5], unpack(ARGV, 10))
redis.call('PEXPIRE', KEYS[5], math.max(1000, redis.call('PTTL', KEYS[1])))
redis.call('SADD', KEYS[4], KEYS[3])
redis.call('RPUSH', KEYS[3], ARGV[4])
return 'requeued'
