-- append: writes a thread, messages and items into a thread no run holds, or both.
-- KEYS  1 thread  2 active  3 order  4 messages  5 messages:index  6 steps  7 steps:tools
-- ARGV  1 thread id  2 thread document ('' when the thread must exist)  3 what the keys of the thread's runs begin with
--       then pairs: the id of a message or item, document
-- Returns {1}; {-1} when there is no such thread; {-2, run id} when a run holds it. Idempotent by id.
local function hashOf(id)
  if string.sub(id, 1, 5) == 'item_' then return KEYS[6], KEYS[7] end
  return KEYS[4], KEYS[5]
end

local cold = ifCold(KEYS[1])
if cold then return cold end
if ARGV[2] == '' then
  if redis.call('EXISTS', KEYS[1]) == 0 then return {-1} end
  local holder = redis.call('GET', KEYS[2])
  if holder and isLost(ARGV[3] .. holder) then
    redis.call('DEL', KEYS[2])
  elseif holder and redis.call('HEXISTS', hashOf(ARGV[4]), ARGV[4]) == 0 then
    -- What is there already was added before, by this very request sent twice perhaps.
    return {-2, holder}
  end
else
  redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
end
for i = 4, #ARGV, 2 do
  local hash, index = hashOf(ARGV[i])
  if redis.call('HSETNX', hash, ARGV[i], ARGV[i + 1]) == 1 then
    redis.call('ZADD', index, redis.call('INCR', KEYS[3]), ARGV[i])
  end
end
return {1}
