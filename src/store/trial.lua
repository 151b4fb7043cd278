-- trial: notes one write of a project on trial, or refuses it for want of room.
-- KEYS  1 proven (set of projects)  2 waiting (projects by their first write)  3 sums of all: bytes, writes
--       4 the project's writes: their bytes, and the sum as `bytes`  5 chats (`project write`, by when to look for them)
--       6 the project's write that was let through without room
-- ARGV  1 project  2 now (unix ms)  3 the write's name  4 its bytes
--       5, 6 most bytes and writes of a project  7, 8 of all together
--       9 when to look whether it is still there (unix ms); empty where it stays
--       10 most bytes of one that needs no room, and 11 for how long there is no other (ms); with 9 only
-- Returns 1 when the project is proven; 2 when the write is noted, 3 when it is the project's first; -1 when the project
-- has no room left, -2 when all together have none. Idempotent by the write's name.
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return 1 end
if redis.call('HEXISTS', KEYS[4], ARGV[3]) == 1 then return 2 end
local bytes = tonumber(ARGV[4])
local own = tonumber(redis.call('HGET', KEYS[4], 'bytes') or '0')
local ownWrites = math.max(0, redis.call('HLEN', KEYS[4]) - 1)
local sums = redis.call('HMGET', KEYS[3], 'bytes', 'writes')
local refusal
if own + bytes > tonumber(ARGV[5]) or ownWrites >= tonumber(ARGV[6]) then
  refusal = -1
elseif tonumber(sums[1] or '0') + bytes > tonumber(ARGV[7]) or tonumber(sums[2] or '0') >= tonumber(ARGV[8]) then
  refusal = -2
end
if refusal then
  if ARGV[9] == '' or bytes > tonumber(ARGV[10]) then return refusal end
  if not redis.call('SET', KEYS[6], ARGV[3], 'NX', 'PX', ARGV[11]) then return refusal end
end
redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[1])
if ARGV[9] ~= '' then redis.call('ZADD', KEYS[5], ARGV[9], ARGV[1] .. ' ' .. ARGV[3]) end
redis.call('HSET', KEYS[4], ARGV[3], bytes)
redis.call('HINCRBY', KEYS[4], 'bytes', bytes)
redis.call('HINCRBY', KEYS[3], 'bytes', bytes)
redis.call('HINCRBY', KEYS[3], 'writes', 1)
return ownWrites == 0 and 3 or 2
