-- Reading records that may be malformed: one that somebody has spoiled must not stop what concerns others.

-- Return the values of a record's fields; none where the key is gone or holds something else.
local function read_fields(record, ...)
  local found = redis.pcall('HMGET', record, ...)
  return found.err and {} or found
end

-- Return whether there is a record that can be written to.
local function is_record(record)
  return redis.call('EXISTS', record) == 1 and not redis.pcall('HMGET', record, 'status').err
end

-- Return a text as a number that Redis takes for a score, or nil.
local function finite(text)
  local value = tonumber(text or '')
  return value and value > -math.huge and value < math.huge and value or nil
end

-- Return a text as a count that Redis can add to, or nil.
local function whole(text)
  return text and #text < 16 and string.match(text, '^%d+$') and tonumber(text) or nil
end
