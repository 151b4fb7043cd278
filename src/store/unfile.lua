-- unfile: deletes the document of a file, no longer counts its bytes, and remembers where it stood, for cursors that name it.
-- KEYS  1 documents  2 index  3 gone  4 index of its purpose  5 bytes of the project
-- ARGV  1 id  2 how many places to remember  3 its bytes
-- Returns 1 when it was there; 2 when it was deleted before, by this very command sent twice perhaps; 0 when it never was.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  return redis.call('ZSCORE', KEYS[3], ARGV[1]) and 2 or 0
end
local place = redis.call('ZSCORE', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
if place then redis.call('ZADD', KEYS[3], place, ARGV[1]) end
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - tonumber(ARGV[2]))
redis.call('DECRBY', KEYS[5], ARGV[3])
return 1
