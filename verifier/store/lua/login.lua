-- Count a try to log in towards its limit, before anybody looks whether it is right. Works although Redis is full.
-- KEYS: due
-- ARGV: limits ... (prelude/limits.lua)
-- Returns { "counted" }, or { "limited", position of the limit, wait (s) }, and nothing is counted.
write_although_full(KEYS[1])
local limits = read_limits(1, #ARGV)
local which, wait_s = used_up(limits)
if which then
  return { 'limited', which, written(wait_s) }
end
count(limits)
return { 'counted' }
