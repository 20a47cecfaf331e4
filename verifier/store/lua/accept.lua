-- Accept a verification: its record, its due entry and its RQ job, all or nothing.
-- KEYS: record, due, queue, rq:queues, job, sequence, room, records of the same request under older keys ...
-- ARGV: max owed, look after it in (s), life of the code (s), life of the record after that (s), verification id,
--       job id, share of the memory for new work, number of record arguments,
--       record fields and values ..., job fields and values ...
-- Returns { "accepted", created at (s), expires at (s) }, { "full" } where Redis or the list of owed mails is, or, where an
-- earlier try of the same request has arrived, { "exists", time (s), position of its key, record fields and values ... }.
for position = 1, #KEYS do
  if position == 1 or position > 7 then
    local found = redis.call('HGETALL', KEYS[position])
    if #found > 0 then
      -- A write, so that WAIT on this connection also covers the earlier try.
      redis.call('HDEL', KEYS[position], '')
      redis.call('HSET', KEYS[position], found[1], found[2])
      return { 'exists', written(now), position, found }
    end
  end
end
if not has_room(KEYS[7], ARGV[7]) or redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[1]) then
  return { 'full' }
end
-- To the millisecond: more digits would only take memory, thrice in each record.
local created_at, expires_at = string.format('%.3f', now), string.format('%.3f', now + tonumber(ARGV[3]))
local ends_in_ms = math.floor((tonumber(ARGV[3]) + tonumber(ARGV[4])) * 1000)
local split = 8 + tonumber(ARGV[8])
redis.call('HSET', KEYS[1], 'created_at', created_at, 'expires_at', expires_at, 'queued_at', created_at, 'sequence',
  redis.call('INCR', KEYS[6]), unpack(ARGV, 9, split))
redis.call('PEXPIRE', KEYS[1], ends_in_ms)
redis.call('ZADD', KEYS[2], written(now + tonumber(ARGV[2])), ARGV[5])
enqueue(KEYS[4], KEYS[3], KEYS[5], ARGV[6], ends_in_ms, split + 1)
return { 'accepted', created_at, expires_at }
