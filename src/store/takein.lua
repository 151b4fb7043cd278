-- takein: takes a thread and messages in that were made elsewhere. What is there stays as it is.
-- KEYS  1 thread  2 order  3 messages  4 messages:index  5… the indexes of what runs wrote
-- ARGV  1 thread id  2 thread document; then in fours: message id, document, place, number of its run's index in KEYS ('' none)
-- Returns whether each was new, 1 or 0: the thread, then the messages. Idempotent, but that nothing is new the second time.
local cold = ifCold(KEYS[1])
if cold then return cold end
local answer = { redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) }
local isAny = false
for i = 3, #ARGV, 4 do
  local id, place, ofRun = ARGV[i], ARGV[i + 2], ARGV[i + 3]
  local isNew = redis.call('HSETNX', KEYS[3], id, ARGV[i + 1])
  redis.call('ZADD', KEYS[4], 'NX', place, id)
  if ofRun ~= '' then redis.call('ZADD', KEYS[tonumber(ofRun)], 'NX', place, id) end
  isAny = isAny or isNew == 1
  answer[#answer + 1] = isNew
end
-- Places of imported messages are not counted; the counter tells that the thread has changed (freeze.lua).
if isAny then redis.call('INCR', KEYS[2]) end
return answer
