-- holder: which run holds a thread. The lock of a run that is lost is removed.
-- KEYS  1 thread  2 active  ARGV  1 what the keys of the thread's runs begin with
-- Returns {1 when there is such a thread or else 0, run id or ''}.
local holder = redis.call('GET', KEYS[2])
if holder and isLost(ARGV[1] .. holder) then
  redis.call('DEL', KEYS[2])
  holder = nil
end
return {redis.call('EXISTS', KEYS[1]), holder or ''}
