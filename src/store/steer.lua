-- steer: has messages and items wait in the hash of a run, until a commit takes them into the thread (commit.lua).
--
-- Idempotent by the id of the last of them, of which the hash keeps a list. The run must be as it was read, because only
-- whoever has read it knows whether it is still to come to a place where it takes anything in.
--
-- KEYS  1 run
-- ARGV  1 the version that is expected; '' to add nothing  2 how many may wait  3 the ids, between blanks  4 the last of
--       them  5 how many they are  6 their documents, each on a line
-- Returns 1 when they wait, or have come before; 0 when the run has changed; -1 when it is gone; -2 when too many wait.
local version, most, ids, last, count, lines = unpack(ARGV)
local stored = redis.call('HMGET', KEYS[1], 'version', 'waiting', 'steers')
if not stored[1] then return -1 end
local waiting, steers = stored[2] or '', stored[3] or ' '
if string.find(steers, ' ' .. last .. ' ', 1, true) then return 1 end
if stored[1] ~= version then return 0 end
local _, before = string.gsub(waiting, '\n', '')
if before + tonumber(count) > tonumber(most) then return -2 end
redis.call('HSET', KEYS[1], 'waiting', waiting .. lines, 'steers', steers .. ids .. ' ')
return 1
