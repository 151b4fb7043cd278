-- commit: the only writer of a run, but for fragments (fragments.lua). Checks the fence, appends events to the log, writes
-- the run and the objects the events are about, moves the thread's lock, and tells the readers: one step, so no reader ever
-- sees half of it.
--
-- Idempotent, because a client library may send a command again after a reconnect: a commit that is already in the
-- log answers as it did the first time. The fence is compared for equality only.
--
-- KEYS and ARGV have the names below, which commit-script.ts fills in.
--   expectedVersion  '' creates the run
--   version          from now on
--   expectedSeq      '' takes any; of a run that is created, what the counter of its thread's places must have come to
--   doc              of the run
--   lock             'take' or 'free' the thread's lock; '' leaves it
--   takes            how many bytes of what waits in the run's hash (steer.lua) are among the writes; '' leaves what waits
--   logLifeMs        milliseconds the log lives on: set when it begins and when the run ends; in between it is the same
--                    moment
--   eventsChannel    channel of the run's events
--   changesChannel   channel of changes; '' when the run's own worker writes
--   ephemeral        '1' for a run without a thread: no lock, and all its keys live only as long as its log
--   eventCount       how many events follow; then writes follow in threes: kind, id, document
-- Returns {1, last seq} when committed; {0} when refused by the fence; {-1} when run or thread is gone;
--         {-2, run id} when another run holds the thread; {-3} when the thread has gone on; {-4, mark} when it is cold, and a run
--         is to be created in it; {-5, what waits} when that is not what the commit takes.

local run, log, thread, active, order, messages, messagesIndex, runMessages, steps, runSteps, toolSteps, runs, input =
  unpack(KEYS)
local expectedVersion, version, expectedSeq, doc, lock, takes, logLifeMs, eventsChannel, changesChannel, runId, ephemeral, eventCount =
  unpack(ARGV, 1, 12)
local ARGS = 12
local count, isEphemeral = tonumber(eventCount), ephemeral == '1'
local writes = ARGS + count + 1

local stored = redis.call('HMGET', run, 'version', 'seq', 'waiting')
local seq = tonumber(stored[2] or '0')

if expectedVersion == '' then
  if stored[1] == version then return {1, seq} end
  if stored[1] then return {0} end
  local newThread = ARGV[writes] == 'thread'
  if not isEphemeral and not newThread and redis.call('EXISTS', thread) == 0 then return {-1} end
  local cold = not isEphemeral and redis.call('HGET', thread, ':cold')
  if cold then return {-4, cold} end
  local holder = redis.call('GET', active)
  -- The keys of a thread's runs differ in the run's id only.
  if holder and not isLost(string.sub(run, 1, -1 - #runId) .. holder) then return {-2, holder} end
  if expectedSeq ~= '' and redis.call('GET', order) ~= expectedSeq then return {-3} end
else
  if not stored[1] then return {-1} end
  if stored[1] ~= expectedVersion then
    -- Versions are random and written once: finding the new one means this very commit was here before.
    if stored[1] == version then return {1, seq} end
    return {0}
  end
  if expectedSeq ~= '' and seq ~= tonumber(expectedSeq) then return {0} end
  local waiting = stored[3] or ''
  if takes ~= '' and #waiting ~= tonumber(takes) then return {-5, waiting} end
  if takes ~= '' and waiting ~= '' then redis.call('HDEL', run, 'waiting') end
end

local first = seq + 1
local events = {}
for i = 1, count do
  seq = seq + 1
  events[i] = ARGV[ARGS + i]
  redis.call('XADD', log, seq .. '-0', 'e', events[i])
end

redis.call('HSET', run, 'doc', doc, 'version', version, 'seq', seq)

local isNew, isOver = expectedVersion == '', lock == 'free'
-- The keys that this commit may have brought into being.
local made = isNew and {[run] = true, [log] = true, [order] = true} or {}

local function put(hash, id, json)
  redis.call('HSET', hash, id, json)
  made[hash] = true
end

local function place(index, id)
  redis.call('ZADD', index, redis.call('INCR', order), id)
  made[index] = true
end

for i = writes, #ARGV, 3 do
  local kind, id, json = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if kind == 'thread' or kind == 'base' then
    put(thread, id, json)
  elseif kind == 'message.new' then
    put(messages, id, json)
    place(messagesIndex, id)
  elseif kind == 'message.mine' then
    put(messages, id, json)
    place(messagesIndex, id)
    place(runMessages, id)
  elseif kind == 'message' then
    -- A client may have deleted it meanwhile; it stays deleted.
    if redis.call('HEXISTS', messages, id) == 1 then redis.call('HSET', messages, id, json) end
  elseif kind == 'message.drop' then
    redis.call('HDEL', messages, id)
    redis.call('ZREM', messagesIndex, id)
    redis.call('ZREM', runMessages, id)
  elseif kind == 'step.new' or kind == 'step.tools' then
    put(steps, id, json)
    place(runSteps, id)
    if kind == 'step.tools' then place(toolSteps, id) end
  elseif kind == 'step' then
    put(steps, id, json)
  elseif kind == 'item.new' then
    put(steps, id, json)
    place(toolSteps, id)
  elseif kind == 'input' then
    redis.call('SET', input, json)
    made[input] = true
  end
end

if isNew then place(runs, runId) end
if isEphemeral then
  -- Only a turn that is still to come needs what was asked.
  if isOver then redis.call('UNLINK', input) end
  for _, key in ipairs(KEYS) do
    if isOver or made[key] then redis.call('PEXPIRE', key, logLifeMs) end
  end
else
  if isNew or isOver then redis.call('PEXPIRE', log, logLifeMs) end
  if lock == 'take' then
    redis.call('SET', active, runId)
  elseif isOver and redis.call('GET', active) == runId then
    redis.call('DEL', active)
  end
end

redis.call('SPUBLISH', eventsChannel, first .. '[' .. table.concat(events, ',') .. ']')
if changesChannel ~= '' then redis.call('PUBLISH', changesChannel, runId) end
return {1, seq}
