-- drop: deletes a thread with everything in it. A worker that still executes one of its runs finds the run gone at its
-- next commit; readers of the run are told.
-- KEYS  1 thread  2 runs  3 active  4… the thread's other keys
-- ARGV  1 channel of changes  then what names that end in a run's id begin with:  2 its events channel  3… its keys
-- Returns 1 when there was such a thread, else 0; sent twice it deletes nothing twice, but answers 0 the second time.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local holder = redis.call('GET', KEYS[3])
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  for i = 3, #ARGV do redis.call('UNLINK', ARGV[i] .. id) end
end
redis.call('UNLINK', unpack(KEYS))
if holder then
  redis.call('SPUBLISH', ARGV[2] .. holder, 'gone')
  redis.call('PUBLISH', ARGV[1], holder)
end
return 1
