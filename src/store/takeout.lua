-- takeout: removes an item that a client put between the steps of a thread.
-- KEYS  1 thread  2 order, which tells that the thread has changed (freeze.lua)  3 steps  4 steps:tools
-- ARGV  1 id
-- Returns 1 when it was there, else 0; sent twice it answers 0 the second time.
local cold = ifCold(KEYS[1])
if cold then return cold end
redis.call('HDEL', KEYS[3], ARGV[1])
local removed = redis.call('ZREM', KEYS[4], ARGV[1])
if removed == 1 then redis.call('INCR', KEYS[2]) end
return removed
