-- Write down how this minute goes: how much is owed, and what a worker has done since it said so last. Safe to repeat.
-- Works although Redis is full.
-- KEYS: due, late, queue, sequence, what this worker has said so far (left out where nobody counts)
-- ARGV: prefix of the minutes' keys, for how long a minute is kept (s), record prefix, for how long what a worker said is kept (s),
--       name, total, total that was written before ...
-- A worker tells totals, so that one whose answer got lost, or that a dead master took with it, is counted the next time.
write_although_full(KEYS[1])
local key = ARGV[1] .. string.format('%d', math.floor(now / 60))
local oldest = oldest_owed(KEYS[1], KEYS[2], KEYS[3], ARGV[3], now)
local owed = redis.call('ZCARD', KEYS[1])
local age_s = owed > 0 and oldest and math.max(0, now - oldest) or 0
local before_s = finite(redis.call('HGET', key, 'oldest')) or 0
redis.call('HSET', key, 'owed', owed, 'oldest', string.format('%.1f', math.max(before_s, age_s)),
  'sequence', whole(redis.call('GET', KEYS[4])) or 0)
if KEYS[5] then
  for position = 5, #ARGV, 3 do
    local total = whole(ARGV[position + 1]) or 0
    local told = whole(redis.call('HGET', KEYS[5], ARGV[position])) or whole(ARGV[position + 2]) or 0
    if total > told then
      redis.call('HINCRBY', key, ARGV[position], total - told)
    end
    redis.call('HSET', KEYS[5], ARGV[position], total)
  end
  redis.call('PEXPIRE', KEYS[5], math.floor(tonumber(ARGV[4]) * 1000))
end
redis.call('PEXPIRE', key, math.floor(tonumber(ARGV[2]) * 1000))
return written(now)
