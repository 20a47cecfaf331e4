-- Putting a job into RQ's queue, as RQ itself would write it; and whether a script may write although Redis is full.

local function enqueue(queues, queue, job, job_id, ends_in_ms, first_field)
  redis.call('HSET', job, unpack(ARGV, first_field))
  redis.call('PEXPIRE', job, math.max(1000, ends_in_ms))
  redis.call('SADD', queues, queue)
  redis.call('RPUSH', queue, job_id)
end
