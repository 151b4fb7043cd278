-- label: hangs metadata on a message or run of a thread that is there; a deleted thread must leave nothing behind.
-- KEYS  1 thread  2 labels, or the run  3 order, which tells that the thread has changed (freeze.lua)
-- ARGV  1 id  2 metadata
-- Returns 1; 0 when there is no such thread. Idempotent.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local cold = ifCold(KEYS[1])
if cold then return cold end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('INCR', KEYS[3])
return 1
