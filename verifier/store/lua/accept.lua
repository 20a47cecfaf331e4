-- Accept a verification: its record, its due entry and its RQ job, all or nothing, and count it towards the limits.
-- KEYS: record, due, queue, rq:queues, job, sequence, room, records of the same request under older keys ...
-- ARGV: max owed, look after it in (s), life of the code (s), life of the record after that (s), verification id,
--       job id, share of the memory for new work, key of what the same caller has pending for the address (empty: none),
--       record prefix, least life left of that (s), number of limit arguments, most attempts at a code, address,
--       id of the secret key, who started it (may be empty), tag of the address (may be empty),
--       fingerprint of what the request says beside the address (empty: it named no key),
--       language of the mails (may be empty), id of the HTTP request (may be empty),
--       limits ... (prelude/limits.lua), job fields and values ...
-- A request that named a key and led to what was pending leaves a hash in its record's place that says so, 16 at the most a
-- verification: a repeat leads there, too, also when that one has ended.
-- Returns one of
--   { "accepted", created at (s), expires at (s) }
--   { "exists", time (s), position of its key, record fields and values ... }, an earlier try of the same request has arrived
--   { "pending", time (s), verification id, record fields and values ... }, which the same caller has started for the address
--   { "led before", time (s), verification id, record fields and values ..., fingerprint }, an earlier try led to that one
--   { "full" }, Redis or the list of owed mails is
--   { "limited", position of the limit, wait (s) }
for position = 1, #KEYS do
  if position == 1 or position > 7 then
    local found = redis.call('HGETALL', KEYS[position])
    if #found > 0 then
      -- A write, so that WAIT on this connection also covers the earlier try.
      redis.call('HDEL', KEYS[position], '')
      redis.call('HSET', KEYS[position], found[1], found[2])
      if found[1] ~= 'leads_to' then
        return { 'exists', written(now), position, found }
      end
      local led_to = redis.call('HGETALL', ARGV[9] .. found[2])
      if #led_to > 0 then
        return { 'led before', written(now), found[2], led_to, found[4] }
      end
      redis.call('DEL', KEYS[position])
    end
  end
end
local pending_id = ARGV[8] ~= '' and redis.call('GET', ARGV[8])
if pending_id then
  local record = ARGV[9] .. pending_id
  local found = read_fields(record, 'status', 'expires_at', 'attempts', 'delivery_status')
  local may_arrive = found[4] ~= 'rejected' and found[4] ~= 'abandoned'
  local has_life = (finite(found[2]) or 0) - now >= tonumber(ARGV[10])
  local has_attempts = (whole(found[3]) or math.huge) < tonumber(ARGV[12])
  if found[1] == 'pending' and may_arrive and has_life and has_attempts then
    redis.call('HDEL', record, '')
    redis.call('HSET', record, 'status', 'pending')
    if ARGV[17] ~= '' and has_room(KEYS[7], ARGV[7]) and redis.call('HINCRBY', record, 'led_here', 1) <= 16 then
      redis.call('HSET', KEYS[1], 'leads_to', pending_id, 'started_with', ARGV[17])
      redis.call('PEXPIRE', KEYS[1], redis.call('PTTL', record))
    end
    return { 'pending', written(now), pending_id, redis.call('HGETALL', record) }
  end
end
if not has_room(KEYS[7], ARGV[7]) or redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[1]) then
  return { 'full' }
end
local first_job = 20 + tonumber(ARGV[11])
local limits = read_limits(20, first_job - 1)
local which, wait_s = used_up(limits)
if which then
  return { 'limited', which, written(wait_s) }
end
-- To the millisecond: more digits would only take memory, thrice in each record.
local created_at, expires_at = string.format('%.3f', now), string.format('%.3f', now + tonumber(ARGV[3]))
local ends_in_ms = math.floor((tonumber(ARGV[3]) + tonumber(ARGV[4])) * 1000)
-- What the job's key says, and the time of the first mail, which is that of the record, are not written, nor what is empty: there
-- may be very many records.
local marks = {}
if ARGV[15] ~= '' then
  marks = { 'started_by', ARGV[15] }
end
if ARGV[16] ~= '' then
  marks[#marks + 1], marks[#marks + 2] = 'address_tag', ARGV[16]
end
if ARGV[17] ~= '' then
  marks[#marks + 1], marks[#marks + 2] = 'started_with', ARGV[17]
end
if ARGV[18] ~= '' then
  marks[#marks + 1], marks[#marks + 2] = 'language', ARGV[18]
end
if ARGV[19] ~= '' then
  marks[#marks + 1], marks[#marks + 2] = 'http_request_id', ARGV[19]
end
redis.call('HSET', KEYS[1], 'created_at', created_at, 'expires_at', expires_at, 'queued_at', created_at, 'sequence',
  redis.call('INCR', KEYS[6]), 'address', ARGV[13], 'key_id', ARGV[14], 'status', 'pending', 'attempts', '0', 'sends', '1',
  'delivery', '1', 'delivery_status', 'queued', 'tries', '0', unpack(marks))
redis.call('PEXPIRE', KEYS[1], ends_in_ms)
redis.call('ZADD', KEYS[2], written(now + tonumber(ARGV[2])), ARGV[5])
enqueue(KEYS[4], KEYS[3], KEYS[5], ARGV[6], ends_in_ms, first_job)
count(limits)
if ARGV[8] ~= '' then
  redis.call('SET', ARGV[8], ARGV[5], 'PX', math.ceil(tonumber(ARGV[3]) * 1000))
end
return { 'accepted', created_at, expires_at }
