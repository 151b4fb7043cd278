-- untrial: forgets writes of a project on trial and gives their room back; all of them when the project is proven now.
-- KEYS  as in trial.lua
-- ARGV  1 project  2 '1' when it is proven now  3… else the names of the writes
-- Returns how many were forgotten; sent twice it forgets nothing twice.
local writes = {}
if ARGV[2] == '1' then
  redis.call('SADD', KEYS[1], ARGV[1])
  for _, name in ipairs(redis.call('HKEYS', KEYS[4])) do
    if name ~= 'bytes' then writes[#writes + 1] = name end
  end
else
  for i = 3, #ARGV do writes[#writes + 1] = ARGV[i] end
end
local freed, count = 0, 0
local first = redis.call('GET', KEYS[6])
for _, name in ipairs(writes) do
  redis.call('ZREM', KEYS[5], ARGV[1] .. ' ' .. name)
  if name == first then redis.call('DEL', KEYS[6]) end
  local bytes = redis.call('HGET', KEYS[4], name)
  if bytes then
    redis.call('HDEL', KEYS[4], name)
    freed, count = freed + tonumber(bytes), count + 1
  end
end
if count > 0 then
  redis.call('HINCRBY', KEYS[4], 'bytes', -freed)
  redis.call('HINCRBY', KEYS[3], 'bytes', -freed)
  redis.call('HINCRBY', KEYS[3], 'writes', -count)
end
if redis.call('HLEN', KEYS[4]) <= 1 then
  redis.call('DEL', KEYS[4])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return count
