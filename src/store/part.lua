-- part: keeps a part of an upload, and counts its bytes for its project.
-- KEYS  1 documents of uploads  2 parts of this one (id → bytes)  3 bytes of the project
-- ARGV  1 id of the upload  2 id of the part  3 its bytes  4 most bytes of all parts of the upload
--       5 most bytes of the project ('' any number)
-- Returns 1 when it is there, perhaps since before; 0 when the upload is not open; -1 when the upload has no room for it; -2
-- when the project has none. Idempotent.
local doc = redis.call('HGET', KEYS[1], ARGV[1])
if not doc or cjson.decode(doc).status ~= 'pending' then return 0 end
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return 1 end
local parts = redis.call('HGETALL', KEYS[2])
local sum = tonumber(ARGV[3])
for i = 2, #parts, 2 do sum = sum + tonumber(parts[i]) end
if sum > tonumber(ARGV[4]) then return -1 end
local bytes = tonumber(redis.call('GET', KEYS[3]) or 0)
if ARGV[5] ~= '' and bytes + tonumber(ARGV[3]) > tonumber(ARGV[5]) then return -2 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('INCRBY', KEYS[3], ARGV[3])
return 1
