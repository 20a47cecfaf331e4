-- Claim deliveries for one worker: take jobs off the queue and lease what they stand for.
-- A claimed job is gone from RQ; the record and its due entry say all that is needed if the worker dies.
-- KEYS: queue, due, dead letters
-- ARGV: record prefix, job prefix, length of the lease (s), lease, least life left (s), how many,
--       max attempts, life of a dead letter (s), most dead letters, job ids ...
-- Jobs are taken off the queue, unless job ids are given. Gives a list with an entry a job:
--   { "claimed", verification id, delivery number, record fields and values ... }
--   { "skipped", job id, why }, why being: foreign, gone, superseded, ended, expired, in flight, settled
local record_prefix, job_prefix = ARGV[1], ARGV[2]
local lease, least_life_s, max_attempts = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[7])
local lease_ends_at = written(now + tonumber(ARGV[3]))
local job_ids = {}
if #ARGV > 9 then
  job_ids = { unpack(ARGV, 10) }
elseif tonumber(ARGV[6]) > 0 then
  job_ids = redis.call('LPOP', KEYS[1], ARGV[6]) or {}
end

local function claim(job_id)
  local id, number = string.match(job_id, '^(%x+)%-(%d+)$')
  if not id then
    return { 'skipped', job_id, 'foreign' }
  end
  redis.call('DEL', job_prefix .. job_id)
  local record = record_prefix .. id
  local found = redis.call('HMGET', record, 'status', 'delivery', 'delivery_status', 'expires_at', 'lease', 'attempts')
  if not found[1] then
    if redis.call('ZREM', KEYS[2], id) == 1 then
      add_dead_letter(KEYS[3], ARGV[8], ARGV[9], now, record, id, number, 'abandoned', 'gone')
    end
    return { 'skipped', job_id, 'gone' }
  end
  if found[2] ~= number then
    return { 'skipped', job_id, 'superseded' }
  end
  local status = found[3]
  if status == 'sending' then
    -- Whose lease is over, recovery takes back first; until then the mail is on its way.
    return { 'skipped', job_id, 'in flight' }
  end
  if status ~= 'queued' and status ~= 'deferred' then
    redis.call('ZREM', KEYS[2], id)
    return { 'skipped', job_id, 'settled' }
  end
  local too_late = tonumber(found[4]) - now < least_life_s
  local ended = found[1] ~= 'pending' or tonumber(found[6]) >= max_attempts
  if ended or too_late then
    redis.call('HSET', record, 'delivery_status', 'abandoned')
    redis.call('HDEL', record, 'next_try_at')
    redis.call('ZREM', KEYS[2], id)
    if not ended then
      add_dead_letter(KEYS[3], ARGV[8], ARGV[9], now, record, id, number, 'abandoned', status)
    end
    return { 'skipped', job_id, too_late and 'expired' or 'ended' }
  end
  redis.call('HSET', record, 'delivery_status', 'sending', 'lease', lease)
  redis.call('HINCRBY', record, 'tries', 1)
  redis.call('HDEL', record, 'next_try_at')
  redis.call('ZADD', KEYS[2], lease_ends_at, id)
  return { 'claimed', id, number, redis.call('HGETALL', record) }
end

local claims = {}
for position, job_id in ipairs(job_ids) do
  claims[position] = claim(job_id)
end
return claims
