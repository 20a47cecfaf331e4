-- Claim deliveries for one worker: take jobs off the queue and lease what they stand for.
-- A claimed job is gone from RQ; the record and its due entry say all that is needed if the worker dies.
-- KEYS: queue, due, dead letters, late, ids claimed under this lease
-- ARGV: record prefix, job prefix, length of the lease (s), lease, least life left (s), how many,
--       max attempts, life of a dead letter (s), most dead letters, job ids ...
-- Jobs are taken off the queue, unless job ids are given. Returns the time (s) and a list with an entry a job:
--   { "claimed", verification id, delivery number, record fields and values ... }
--   { "skipped", job id, why }, why being: foreign, gone, superseded, ended, expired, in flight, settled, malformed
-- Foreign jobs, which somebody else has queued, are put back behind the others.
local record_prefix, job_prefix = ARGV[1], ARGV[2]
local lease, least_life_s, max_attempts = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[7])
local lease_ends_at = written(now + tonumber(ARGV[3]))
local job_ids = {}
if #ARGV > 9 then
  job_ids = { unpack(ARGV, 10) }
elseif tonumber(ARGV[6]) > 0 then
  job_ids = redis.call('LPOP', KEYS[1], ARGV[6]) or {}
end

local function give_up(id, number, found_as, is_loss)
  local record = record_prefix .. id
  if is_record(record) then
    redis.call('HDEL', record, 'next_try_at', 'lease')
    redis.call('HSET', record, 'delivery_status', 'abandoned')
  end
  local was_owed = redis.call('ZREM', KEYS[2], id) == 1
  redis.call('ZREM', KEYS[4], id)
  if is_loss and was_owed then
    add_dead_letter(KEYS[3], ARGV[8], ARGV[9], now, record, id, number, 'abandoned', found_as)
  end
end

local function claim(job_id)
  local id, number = string.match(job_id, '^(%x+)%-(%d+)$')
  if not id or #id ~= 32 then
    if #ARGV <= 9 then
      redis.call('RPUSH', KEYS[1], job_id)
    end
    return { 'skipped', job_id, 'foreign' }
  end
  redis.call('DEL', job_prefix .. job_id)
  local record = record_prefix .. id
  local found = read_fields(record, 'status', 'delivery', 'delivery_status', 'expires_at', 'attempts', 'queued_at', 'tries')
  if not found[1] then
    give_up(id, number, 'gone', true)
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
    redis.call('ZREM', KEYS[4], id)
    return { 'skipped', job_id, 'settled' }
  end
  local expires_at, attempts = finite(found[4]), whole(found[5])
  if not expires_at or not attempts or not finite(found[6]) or not whole(found[7]) then
    give_up(id, number, 'malformed', true)
    return { 'skipped', job_id, 'malformed' }
  end
  local too_late = expires_at - now < least_life_s
  local ended = found[1] ~= 'pending' or attempts >= max_attempts
  if ended or too_late then
    give_up(id, number, status, not ended)
    return { 'skipped', job_id, too_late and 'expired' or 'ended' }
  end
  redis.call('ZADD', KEYS[2], lease_ends_at, id)
  redis.call('HINCRBY', record, 'tries', 1)
  redis.call('HDEL', record, 'next_try_at')
  redis.call('HSET', record, 'delivery_status', 'sending', 'lease', lease)
  redis.call('SADD', KEYS[5], id)
  return { 'claimed', id, number, redis.call('HGETALL', record) }
end

local claims = {}
for position, job_id in ipairs(job_ids) do
  claims[position] = claim(job_id)
end
redis.call('PEXPIRE', KEYS[5], math.floor(2000 * tonumber(ARGV[3])))
return { written(now), claims }
