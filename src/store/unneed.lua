-- unneed: takes threads from those that need a content, and removes a content that no thread needs. A thread that was noted
-- anew since it was looked at stays.
-- KEYS  1 the content and the threads that need it (hash)
-- ARGV  1 field of the content, then pairs: thread id, mark it was noted with
-- Returns 1 when nothing is there any more, else 0. Idempotent.
for i = 2, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
local left = redis.call('HLEN', KEYS[1]) - redis.call('HEXISTS', KEYS[1], ARGV[1])
if left > 0 then return 0 end
redis.call('UNLINK', KEYS[1])
return 1
