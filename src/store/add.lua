-- add: puts an item in its place in a collection. One that is there stays as it is.
-- KEYS  1 documents  2 index
-- ARGV  1 id  2 document ('' where the index says it all)  3 place  4 most items ('' any number); the first ones make room
-- Returns 1 when it is new, else 0. Idempotent.
if redis.call('ZADD', KEYS[2], 'NX', ARGV[3], ARGV[1]) == 0 then return 0 end
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
local excess = ARGV[4] == '' and 0 or redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[4])
if excess > 0 then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, excess - 1)) do
    redis.call('HDEL', KEYS[1], id)
    redis.call('ZREM', KEYS[2], id)
  end
end
return 1
