-- drop: deletes a thread with everything in it. A worker that still executes one of its runs finds the run gone at its
-- next commit; readers of the run are told. Works in a full Redis: it only deletes.
-- KEYS  1 thread  2 runs  3 active  4 order  5… the thread's other keys
-- ARGV  1 'unused' to leave the thread alone where a run holds it, or where its order is not  2 (as GET said; '' for none)
--       3 channel of changes  then what names that end in a run's id begin with:  4 its events channel  5 the run
--       6… its other keys
-- Returns 1 when there was such a thread, -1 when it was left alone, else 0; sent twice it deletes nothing twice, but
-- answers 0 the second time.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local holder = redis.call('GET', KEYS[3])
if ARGV[1] == 'unused' then
  if holder and not isLost(ARGV[5] .. holder) then return -1 end
  if (redis.call('GET', KEYS[4]) or '') ~= ARGV[2] then return -1 end
end
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  for i = 5, #ARGV do redis.call('UNLINK', ARGV[i] .. id) end
end
redis.call('UNLINK', unpack(KEYS))
if holder then
  redis.call('SPUBLISH', ARGV[4] .. holder, 'gone')
  redis.call('PUBLISH', ARGV[3], holder)
end
return 1
