-- Make everything older, as if so many seconds had passed since it was written.
-- ARGV: record prefix, seconds
redis.call('ZREM', 'verifier:due', '')  -- lets the rest write although Redis is full
local seconds = tonumber(ARGV[2])
local times = { 'created_at', 'expires_at', 'queued_at', 'last_sent_at', 'next_try_at', 'sent_at', 'first_failed_at', 'last_failed_at' }
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'hash' and string.sub(key, 1, #ARGV[1]) == ARGV[1] then
    for _, name in ipairs(times) do
      local value = tonumber(redis.call('HGET', key, name) or '')
      if value then
        redis.call('HSET', key, name, string.format('%.6f', value - seconds))
      end
    end
  elseif kind == 'zset' then
    local found = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for position = 1, #found, 2 do
      redis.call('ZADD', key, string.format('%.6f', tonumber(found[position + 1]) - seconds), found[position])
    end
  elseif key == 'verifier:last-sent' then
    redis.call('SET', key, string.format('%.6f', tonumber(redis.call('GET', key)) - seconds))
  end
  local left_ms = redis.call('PTTL', key)
  if left_ms >= 0 then
    redis.call('PEXPIRE', key, math.floor(left_ms - seconds * 1000))
  end
end
