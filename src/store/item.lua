-- item: one document of a thread and what was hung on it since, of one moment: a thread may come or go between two reads.
-- KEYS  1 hash of the document  2 labels  3 thread
-- ARGV  1 how many fields of the first hash follow; then these, then those of the labels
-- Returns the values of all fields, absent ones as nothing; of a thread that is cold nothing but that.
local count = tonumber(ARGV[1])
local found = redis.call('HMGET', KEYS[1], unpack(ARGV, 2, 1 + count))
if not found[1] then
  local cold = ifCold(KEYS[3])
  if cold then return cold end
end
local labels = redis.call('HMGET', KEYS[2], unpack(ARGV, 2 + count))
for i = 1, #labels do found[count + i] = labels[i] end
return found
