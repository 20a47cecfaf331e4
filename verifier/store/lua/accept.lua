-- Accept a verification: its record, its due entry and its RQ job, all or nothing.
-- KEYS: record, due, queue, rq:queues, job, sequence
-- ARGV: max owed, due at (s), record ends at (ms), verification id, job id, number of record arguments,
--       record fields and values ..., job fields and values ...
-- Gives "accepted", "exists" (an earlier try of the same request arrived) or "full".
if redis.call('EXISTS', KEYS[1]) == 1 then
  -- A write, so that WAIT on this connection also covers the earlier try.
  redis.call('HSET', KEYS[1], 'id', ARGV[4])
  return 'exists'
end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[1]) then
  return 'full'
end
local split = 6 + tonumber(ARGV[6])
redis.call('HSET', KEYS[1], unpack(ARGV, 7, split))
redis.call('HSET', KEYS[1], 'sequence', redis.call('INCR', KEYS[6]))
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[4])
redis.call('HSET', KEYS[5], unpack(ARGV, split + 1))
redis.call('PEXPIREAT', KEYS[5], ARGV[3])
redis.call('SADD', KEYS[4], KEYS[3])
redis.call('RPUSH', KEYS[3], ARGV[5])
return 'accepted'
