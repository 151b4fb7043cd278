-- thaw: puts a cold thread back into Redis, all of it or nothing, while its mark is still there.
-- KEYS  1 thread  2… its keys
-- ARGV  1 the mark  2 what is noted of its return; then of each key: its kind, when it expires (unix ms; '' never), how many
--       values follow, and these: field and value (hash), score and member (zset), id and event (stream), or the text (string). The thread itself is
--       the last key
-- Returns 1 when it was put back, 0 when there is no such mark any more. Idempotent.
if redis.call('HGET', KEYS[1], ':cold') ~= ARGV[1] then return 0 end

local WRITES = { hash = 'HSET', zset = 'ZADD' }
local function putBack()
  local at = 3
  for i = 2, #KEYS do
    local kind, expiresMs, first = ARGV[at], ARGV[at + 1], at + 3
    local past = first + tonumber(ARGV[at + 2])
    if kind == 'string' then
      redis.call('SET', KEYS[i], ARGV[first])
    elseif kind == 'stream' then
      for j = first, past - 1, 2 do redis.call('XADD', KEYS[i], ARGV[j], 'e', ARGV[j + 1]) end
    else
      for j = first, past - 1, 1000 do redis.call(WRITES[kind], KEYS[i], unpack(ARGV, j, math.min(j + 999, past - 1))) end
    end
    if expiresMs ~= '' then redis.call('PEXPIREAT', KEYS[i], expiresMs) end
    at = past
  end
end
local isDone, problem = pcall(putBack)
if not isDone then
  for i = 2, #KEYS do
    if KEYS[i] ~= KEYS[1] then redis.call('UNLINK', KEYS[i]) end
  end
  return redis.error_reply(type(problem) == 'table' and problem.err or tostring(problem))
end
redis.call('HDEL', KEYS[1], ':cold')
redis.call('HSET', KEYS[1], ':thawed', ARGV[2])
return 1
