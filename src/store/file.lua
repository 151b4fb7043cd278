-- file: keeps the document of a file, and counts its bytes for its project.
-- KEYS  1 documents  2 index  3 index of its purpose  4 bytes of the project
-- ARGV  1 id  2 document  3 place  4 its bytes  5 most bytes of the project ('' any number)
-- Returns 1 when it is there, perhaps since before; 0 when the project has no room for it. Idempotent.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 1 end
local bytes = tonumber(redis.call('GET', KEYS[4]) or 0)
if ARGV[5] ~= '' and bytes + tonumber(ARGV[4]) > tonumber(ARGV[5]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
redis.call('INCRBY', KEYS[4], ARGV[4])
return 1
