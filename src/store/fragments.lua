-- fragments: appends fragments of texts and arguments to the logs of runs, and tells the readers: each run in one step, as
-- commit.lua does. Everything else about a run stays as it is, so its version stays as well.
--
-- Idempotent, because a client library may send a command again after a reconnect: fragments that are already in the log
-- are answered as they were the first time. Only the holder of a version appends under it, so more log means: sent twice.
--
-- KEYS  of each run: run, log
-- ARGV  of each run: the version and the seq that are expected, the channel of its events, how many events, the events
-- Returns of each run: its last seq when appended; 0 when refused by the fence; -1 when it is gone; a text when what is
--         stored of it is damaged, which must not keep the others back.

local function append(run, log, at, count)
  local expectedSeq = tonumber(ARGV[at + 1])
  local stored = redis.call('HMGET', run, 'version', 'seq')
  if not stored[1] then return -1 end
  local seq = tonumber(stored[2] or '0')
  if stored[1] ~= ARGV[at] then return 0 end
  if seq ~= expectedSeq then return seq >= expectedSeq + count and seq or 0 end
  for i = 1, count do redis.call('XADD', log, seq + i .. '-0', 'e', ARGV[at + 3 + i]) end
  redis.call('HSET', run, 'seq', seq + count)
  redis.call('SPUBLISH', ARGV[at + 2], seq + 1 .. '[' .. table.concat(ARGV, ',', at + 4, at + 3 + count) .. ']')
  return seq + count
end

local answers, at = {}, 1
for i = 1, #KEYS, 2 do
  local count = tonumber(ARGV[at + 3])
  local isDone, answer = pcall(append, KEYS[i], KEYS[i + 1], at, count)
  if not isDone then
    local text = type(answer) == 'table' and answer.err or tostring(answer)
    -- By any other word the server refuses to write at all, and then everything is sent again.
    if not string.find(text, '^WRONGTYPE') and not string.find(text, '^ERR') then return redis.error_reply(text) end
    answer = text
  end
  answers[#answers + 1] = answer
  at = at + 4 + count
end
return answers
