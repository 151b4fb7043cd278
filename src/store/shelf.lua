-- shelf: puts a file into a vector store, changes it there, or takes it out, and counts what the store and batches hold. Only if
-- the file's document is still the one that was read.
-- KEYS  1 documents  2 index  3 gone  4 counts of the store
--       5 counts of the batch that the file was in, or of none  6 counts of the batch that it is in, or of none
--       7 index of that batch  8 index of the batch that the file was in, or of none
-- ARGV  1 id  2 old document ('' none)  3 old status  4 old bytes  5 new document ('' none)  6 new status  7 new bytes
--       8 place  9 status that the old batch counts from now on where the file has left it ('' where it has not)
--       10 how many places of what is gone to remember
-- Returns 1; 0 when another was faster; -1 when it is gone. Sent twice, it answers 1 twice: every document is another.
local id, old, new = ARGV[1], ARGV[2], ARGV[5]
local now = redis.call('HGET', KEYS[1], id) or ''
if now == new then return 1 end
if now ~= old then return now == '' and -1 or 0 end
-- The keys of no batch end in a colon.
local function isNone(key) return key:sub(-1) == ':' end
local function count(key, status, by)
  if status ~= '' and not isNone(key) then redis.call('HINCRBY', key, status, by) end
end
if old ~= '' then
  count(KEYS[4], ARGV[3], -1)
  redis.call('HINCRBY', KEYS[4], 'bytes', 0 - tonumber(ARGV[4]))
  count(KEYS[5], ARGV[3], -1)
  count(KEYS[5], ARGV[9], 1)
end
if new == '' then
  local place = redis.call('ZSCORE', KEYS[2], id)
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  if place then redis.call('ZADD', KEYS[3], place, id) end
  if not isNone(KEYS[8]) then redis.call('ZREM', KEYS[8], id) end
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - tonumber(ARGV[10]))
  return 1
end
redis.call('HSET', KEYS[1], id, new)
redis.call('ZADD', KEYS[2], 'NX', ARGV[8], id)
if not isNone(KEYS[7]) then redis.call('ZADD', KEYS[7], 'NX', ARGV[8], id) end
count(KEYS[4], ARGV[6], 1)
redis.call('HINCRBY', KEYS[4], 'bytes', tonumber(ARGV[7]))
count(KEYS[6], ARGV[6], 1)
return 1
