-- usage: counts a run that has ended among those of its project and day; once, however often it is sent.
-- KEYS  1 what the project has used on that day  2 the mark that the run is counted
-- ARGV  1 milliseconds the day stays from now on, at least  2 milliseconds the mark stays
--       then pairs: field, how much it grows
if not redis.call('SET', KEYS[2], '', 'NX', 'PX', ARGV[2]) then return 0 end
for i = 3, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
