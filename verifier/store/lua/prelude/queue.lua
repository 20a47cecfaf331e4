-- Putting a job into RQ's queue, as RQ itself would write it: that there is such a queue is written when its first job is; and whether a script may write although Redis is full.

local function enqueue(queues, queue, job, job_id, ends_in_ms, first_field)
  redis.call('HSET', job, unpack(ARGV, first_field))
  redis.call('PEXPIRE', job, math.max(1000, ends_in_ms))
  if redis.call('RPUSH', queue, job_id) == 1 then
    redis.call('SADD', queues, queue)
  end
end
