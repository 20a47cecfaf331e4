-- What a script may do when Redis has reached its maxmemory.
-- Redis asks that once a script: a command that may need memory is refused, unless the script has written before
-- with one that can't (https://redis.io/docs/latest/develop/programmability/eval-intro/, "Script flags" and
-- "deny-oom"). Whatever finishes work (checks, renewals, settlements) must go through, so it begins with such a write.
local function write_although_full(sorted_set)
  redis.call('ZREM', sorted_set, '')
end
