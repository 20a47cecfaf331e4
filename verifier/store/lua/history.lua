-- Write an event into the history of the master, once, however many processes tell it. Works although Redis is full.
-- KEYS: history
-- ARGV: kind, from, to, why, by, configuration epoch (or ""), how long ago it was (s), two are the same within (s),
--       most events, life of an event (s)
-- A move of the master is told by its sentinels and, when it was planned, by the command that ordered it, which knows more.
-- Returns "recorded", "known", or "completed" where an event was there and this one knew more of it.
local moves = { failover = true, switchover = true }
local at = now - tonumber(ARGV[7])

local function is_same(event, score)
  if event.from ~= ARGV[2] and event.from ~= '' and ARGV[2] ~= '' then
    return false
  end
  if event.to ~= ARGV[3] or not (event.kind == ARGV[1] or moves[event.kind] and moves[ARGV[1]]) then
    return false
  end
  if event.epoch ~= '' and ARGV[6] ~= '' then
    return event.epoch == ARGV[6]
  end
  return math.abs(score - at) <= tonumber(ARGV[8])
end

local function knows_more(event)
  local by_command = ARGV[1] == 'switchover' and event.kind == 'failover'
  local more = event.from == '' and ARGV[2] ~= '' or event.why == '' and ARGV[4] ~= ''
  return by_command or more and event.kind == ARGV[1]
end

write_although_full(KEYS[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', written(now - tonumber(ARGV[10])))
local result = 'recorded'
local near = redis.call('ZRANGEBYSCORE', KEYS[1], written(at - 3600), written(at + 3600), 'WITHSCORES')
for position = 1, #near, 2 do
  local readable, event = pcall(cjson.decode, near[position])
  if readable and type(event) == 'table' and is_same(event, tonumber(near[position + 1])) then
    if not knows_more(event) then
      return 'known'
    end
    redis.call('ZREM', KEYS[1], near[position])
    at = math.min(at, tonumber(near[position + 1]))
    result = 'completed'
    break
  end
end
local text = cjson.encode({
  kind = ARGV[1], from = ARGV[2], to = ARGV[3], why = ARGV[4], by = ARGV[5], epoch = ARGV[6], at = written(at)
})
redis.call('ZADD', KEYS[1], written(at), text)
redis.call('PEXPIRE', KEYS[1], math.floor(tonumber(ARGV[10]) * 1000))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[9]) - 1)
return result
