-- remove: deletes one item of a collection and remembers where it stood, for cursors that name it.
-- KEYS  1 documents  2 index  3 gone  4… further indexes the item stands in
-- ARGV  1 id  2 how many places to remember  3 '' or a place: an item that does not stand before it stays
-- Returns 1 when it was there; 2 when it was deleted before, by this very command sent twice perhaps; 0 when it never was,
-- or stays.
local place = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not place then return redis.call('ZSCORE', KEYS[3], ARGV[1]) and 2 or 0 end
if ARGV[3] ~= '' and tonumber(place) >= tonumber(ARGV[3]) then return 0 end
-- Of a run without a thread, everything expires together. The index is gone with its last item.
local leftMs = redis.call('PTTL', KEYS[2])
redis.call('HDEL', KEYS[1], ARGV[1])
for i = 4, #KEYS do redis.call('ZREM', KEYS[i], ARGV[1]) end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], place, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - tonumber(ARGV[2]))
if leftMs >= 0 then redis.call('PEXPIRE', KEYS[3], leftMs) end
return 1
