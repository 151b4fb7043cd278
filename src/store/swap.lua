-- swap: replaces a document if it is still the one that was read. KEYS 1 documents. ARGV 1 id 2 old 3 new.
-- Returns 1; 0 when another was faster; -1 when it is gone. Sent twice, it answers 1 twice.
local now = redis.call('HGET', KEYS[1], ARGV[1])
if not now then return -1 end
if now ~= ARGV[2] and now ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
