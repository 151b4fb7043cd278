-- freeze: takes a thread that was read and kept elsewhere out of Redis, and leaves a mark in its place. A thread that a run
-- holds, or that has changed since, stays. What changes a thread changes its document, its order, or how many messages it
-- has; ids of messages and runs are random, so that another thread of the same name is noticed as well. Works in a full
-- Redis: it deletes before it writes.
-- KEYS  1 thread  2 active  3 order  4 messages:index  5 runs  6… the other keys that were read
-- ARGV  as named below; what was not there is ''. `thawed` is noted on beside the mark.
-- Returns 1 when the thread is cold by this mark; 0 when it stays, or is cold by another. Idempotent.
local thread, active, order, messages, runs = unpack(KEYS, 1, 5)
local threadId, doc, wasAt, count, newestMessage, newestRun, mark, thawed = unpack(ARGV)
local cold = redis.call('HGET', thread, ':cold')
if cold then return cold == mark and 1 or 0 end
if redis.call('HGET', thread, threadId) ~= doc then return 0 end
if redis.call('EXISTS', active) == 1 or (redis.call('GET', order) or '') ~= wasAt then return 0 end
if redis.call('ZCARD', messages) ~= tonumber(count) then return 0 end
if (redis.call('ZRANGE', messages, -1, -1)[1] or '') ~= newestMessage then return 0 end
if (redis.call('ZRANGE', runs, -1, -1)[1] or '') ~= newestRun then return 0 end
for i = 1, #KEYS, 1000 do redis.call('UNLINK', unpack(KEYS, i, math.min(i + 999, #KEYS))) end
redis.call('HSET', thread, ':cold', mark)
if thawed ~= '' then redis.call('HSET', thread, ':thawed', thawed) end
return 1
