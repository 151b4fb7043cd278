-- commit: the only writer of a run. Checks the fence, appends events to the log, writes the run and the objects the
-- events are about, moves the thread's lock, and tells the readers: one step, so no reader ever sees half of it.
--
-- Idempotent, because a client library may send a command again after a reconnect: a commit that is already in the
-- log answers as it did the first time. The fence is compared for equality only.
--
-- KEYS  1 run  2 log                      (a commit of fragments names these two only)
--       3 thread  4 active  5 order  6 messages  7 messages:index  8 messages:by:run
--       9 steps  10 steps:by:run  11 steps:tools  12 runs  13 input
-- ARGV  1 expected version ('' creates the run)   2 version from now on
--       3 expected seq ('' takes any)             4 run document ('' leaves it)
--       5 'take' or 'free' the thread's lock, ''  6 milliseconds the log lives on
--       7 channel of the run's events             8 channel of changes ('' when the run's own worker writes)
--       9 run id                                  10 '1' for a run without a thread: no lock, and all its keys
--                                                    live only as long as its log
--       11 number of events, then the events, then writes in threes: kind, id, document
-- Returns {1, last seq} when committed; {0} when refused by the fence; {-1} when run or thread is gone;
--         {-2, run id} when another run holds the thread.

local expected, version, expectedSeq, doc = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lock, ttl, runId, ephemeral, count = ARGV[5], ARGV[6], ARGV[9], ARGV[10] == '1', tonumber(ARGV[11])
local writes = 12 + count

local stored = redis.call('HMGET', KEYS[1], 'version', 'seq')
local seq = tonumber(stored[2] or '0')

if expected == '' then
  if stored[1] == version then return {1, seq} end
  if stored[1] then return {0} end
  local newThread = ARGV[writes] == 'thread'
  if not ephemeral and not newThread and redis.call('EXISTS', KEYS[3]) == 0 then return {-1} end
  local holder = redis.call('GET', KEYS[4])
  -- The keys of a thread's runs differ in the run's id only.
  if holder and not isLost(string.sub(KEYS[1], 1, -1 - #runId) .. holder) then return {-2, holder} end
else
  if not stored[1] then return {-1} end
  if stored[1] ~= expected then
    -- Versions are random and written once: finding the new one means this very commit was here before.
    if stored[1] == version then return {1, seq} end
    return {0}
  end
  if expectedSeq ~= '' and seq ~= tonumber(expectedSeq) then
    -- Fragments keep the version. Only the holder of the version appends under it, so more log means: sent twice.
    if version == expected and doc == '' and seq >= tonumber(expectedSeq) + count then return {1, seq} end
    return {0}
  end
end

local first = seq + 1
local events = {}
for i = 1, count do
  seq = seq + 1
  events[i] = ARGV[11 + i]
  redis.call('XADD', KEYS[2], seq .. '-0', 'e', events[i])
end

if doc == '' then
  redis.call('HSET', KEYS[1], 'seq', seq)
else
  redis.call('HSET', KEYS[1], 'doc', doc, 'version', version, 'seq', seq)
  redis.call('PEXPIRE', KEYS[2], ttl)
end

local function place(index, id)
  redis.call('ZADD', index, redis.call('INCR', KEYS[5]), id)
end

for i = writes, #ARGV, 3 do
  local kind, id, json = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if kind == 'thread' then
    redis.call('HSET', KEYS[3], id, json)
  elseif kind == 'message.new' then
    redis.call('HSET', KEYS[6], id, json)
    place(KEYS[7], id)
  elseif kind == 'message.mine' then
    redis.call('HSET', KEYS[6], id, json)
    place(KEYS[7], id)
    place(KEYS[8], id)
  elseif kind == 'message' then
    -- A client may have deleted it meanwhile; it stays deleted.
    if redis.call('HEXISTS', KEYS[6], id) == 1 then redis.call('HSET', KEYS[6], id, json) end
  elseif kind == 'message.drop' then
    redis.call('HDEL', KEYS[6], id)
    redis.call('ZREM', KEYS[7], id)
    redis.call('ZREM', KEYS[8], id)
  elseif kind == 'step.new' or kind == 'step.tools' then
    redis.call('HSET', KEYS[9], id, json)
    place(KEYS[10], id)
    if kind == 'step.tools' then place(KEYS[11], id) end
  elseif kind == 'step' then
    redis.call('HSET', KEYS[9], id, json)
  elseif kind == 'input' then
    redis.call('SET', KEYS[13], json)
  end
end

if expected == '' then place(KEYS[12], runId) end
if ephemeral then
  -- Only a turn that is still to come needs what was asked.
  if lock == 'free' then redis.call('UNLINK', KEYS[13]) end
  for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], ttl) end
elseif lock == 'take' then
  redis.call('SET', KEYS[4], runId)
elseif lock == 'free' and redis.call('GET', KEYS[4]) == runId then
  redis.call('DEL', KEYS[4])
end

if count > 0 then
  redis.call('SPUBLISH', ARGV[7], first .. '[' .. table.concat(events, ',') .. ']')
end
if ARGV[8] ~= '' then redis.call('PUBLISH', ARGV[8], runId) end
return {1, seq}
