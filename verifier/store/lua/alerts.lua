-- Be, or go on being, the one process that tells of alerts, and keep what it knows. Works although Redis is full.
-- KEYS: teller, alerts, a sorted set
-- ARGV: name of the process, its lease (ms), what it knows (JSON; "" where it knows nothing yet), how long that is kept (ms),
--       1 if it may become the teller where there is none, else 0
-- Returns { time (s), name of the teller ("" where there is none), what is known ("" where nothing is) }.
local teller = redis.call('GET', KEYS[1])
if teller == ARGV[1] or (not teller and ARGV[5] == '1') then
  write_although_full(KEYS[3])
  teller = ARGV[1]
  redis.call('SET', KEYS[1], teller, 'PX', ARGV[2])
  if ARGV[3] ~= '' then
    redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
  end
end
return { written(now), teller or '', redis.call('GET', KEYS[2]) or '' }
