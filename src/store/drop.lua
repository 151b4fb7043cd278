-- drop: deletes a thread with everything in it. A worker that still executes one of its runs finds the run gone at its
-- next commit; readers of the run are told. Works in a full Redis: it only deletes.
-- KEYS  as named below, then the thread's other keys
-- ARGV  as named below, then what the other keys of a run begin with. A `prefix` is ended by a run's id.
--   which    'unused' leaves the thread alone where a run holds it, or where its order is not `wasAt` (as GET said; '' for none)
-- Returns {1, the mark of a cold one or '', what was noted when it last came back or ''} when there was such a thread, {-1} when
-- it was left alone, else {0}; sent twice it deletes nothing twice, but answers {0} the second time.
local thread, runs, active, order = unpack(KEYS, 1, 4)
local which, wasAt, changesChannel, eventsPrefix, runPrefix = unpack(ARGV, 1, 5)
if redis.call('EXISTS', thread) == 0 then return {0} end
local holder = redis.call('GET', active)
if which == 'unused' then
  if holder and not isLost(runPrefix .. holder) then return {-1} end
  if (redis.call('GET', order) or '') ~= wasAt then return {-1} end
end
local kept = redis.call('HMGET', thread, ':cold', ':thawed')
for _, id in ipairs(redis.call('ZRANGE', runs, 0, -1)) do
  for i = 5, #ARGV do redis.call('UNLINK', ARGV[i] .. id) end
end
redis.call('UNLINK', unpack(KEYS))
if holder then
  redis.call('SPUBLISH', eventsPrefix .. holder, 'gone')
  redis.call('PUBLISH', changesChannel, holder)
end
return {1, kept[1] or '', kept[2] or ''}
