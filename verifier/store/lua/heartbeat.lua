-- Say that a worker is alive and how it fares. Works although Redis is full.
-- KEYS: workers
-- ARGV: name, how it fares (JSON), prefix of the key with that, for how long it counts (s)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', written(now - 3600))
redis.call('ZADD', KEYS[1], written(now), ARGV[1])
redis.call('SET', ARGV[3] .. ARGV[1], ARGV[2], 'PX', math.floor(tonumber(ARGV[4]) * 1000))
return written(now)
