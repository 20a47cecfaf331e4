-- Give an overdue delivery a fresh RQ job, unless its job still waits in the queue.
-- The queue is first in, first out, and each job was given a sequence number when it was queued. So a job
-- that is behind the head of the queue still waits there; one that should have come before it is lost.
-- KEYS: record, due, queue, rq:queues, job, sequence
-- ARGV: verification id, delivery number, now (s), look again at (s), job id, least life left (s),
--       expired leases are up for grabs (1 or 0), record prefix, job fields and values ...
-- Gives "requeued", "waiting", "held", "abandoned", "gone", "settled", "changed" or "not due".
local id, now = ARGV[1], tonumber(ARGV[3])
local score = redis.call('ZSCORE', KEYS[2], id)
if not score or tonumber(score) > now then
  return 'not due'
end
local found = redis.call('HMGET', KEYS[1], 'status', 'delivery', 'delivery_status', 'expires_at', 'sequence')
if not found[1] then
  redis.call('ZREM', KEYS[2], id)
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
if status == 'sending' and ARGV[7] == '0' then
  redis.call('ZADD', KEYS[2], ARGV[4], id)
  return 'held'
end
if found[1] ~= 'pending' or tonumber(found[4]) - now < tonumber(ARGV[6]) then
  redis.call('HSET', KEYS[1], 'delivery_status', 'abandoned')
  redis.call('HDEL', KEYS[1], 'lease', 'next_try_at')
  redis.call('ZREM', KEYS[2], id)
  return 'abandoned'
end
if status == 'queued' then
  local head = redis.call('LINDEX', KEYS[3], 0)
  if head then
    local head_id = string.match(head, '^(%x+)%-%d+$')
    local head_sequence = head_id and redis.call('HGET', ARGV[8] .. head_id, 'sequence')
    if not head_sequence or tonumber(found[5]) >= tonumber(head_sequence) then
      redis.call('ZADD', KEYS[2], ARGV[4], id)
      return 'waiting'
    end
  end
end
redis.call('HSET', KEYS[1], 'delivery_status', 'queued', 'sequence', redis.call('INCR', KEYS[6]))
redis.call('HDEL', KEYS[1], 'lease', 'next_try_at')
redis.call('ZADD', KEYS[2], ARGV[4], id)
redis.call('HSET', KEYS[5], unpack(ARGV, 9))
redis.call('PEXPIRE', KEYS[5], math.max(1000, redis.call('PTTL', KEYS[1])))
redis.call('SADD', KEYS[4], KEYS[3])
redis.call('RPUSH', KEYS[3], ARGV[5])
return 'requeued'
