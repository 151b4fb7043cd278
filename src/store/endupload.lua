-- endupload: ends an upload that is open. Its parts are forgotten, and where it is complete its file is kept.
-- KEYS  1 documents of uploads  2 parts of this one (id → bytes)  3 bytes of the project
--       4 documents of files  5 their index  6 their index of the purpose
-- ARGV  1 id of the upload  2 its document from now on  3 id of the file ('' none)  4 document of the file  5 its place
--       6 its bytes
-- Returns the document as it is now, which is another one where it was ended before; '' where there is none. Idempotent.
local doc = redis.call('HGET', KEYS[1], ARGV[1])
if not doc then return '' end
if cjson.decode(doc).status ~= 'pending' then return doc end
local change = tonumber(ARGV[6])
local parts = redis.call('HGETALL', KEYS[2])
for i = 2, #parts, 2 do change = change - tonumber(parts[i]) end
redis.call('UNLINK', KEYS[2])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[4], ARGV[3], ARGV[4])
  redis.call('ZADD', KEYS[5], ARGV[5], ARGV[3])
  redis.call('ZADD', KEYS[6], ARGV[5], ARGV[3])
end
redis.call('INCRBY', KEYS[3], string.format('%.0f', change))
return ARGV[2]
