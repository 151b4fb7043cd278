-- history: a page of what a thread's prompts are made from, newest first. Reads only. What of it goes into a prompt is
-- decided in history-choice.ts.
-- KEYS and ARGV have the names below, which history-page.ts fills in.
--   before        the place that the page goes on from, of which so many messages and steps (`skipMessages`, `skipSteps`)
--                 were read already; '' for the newest page, with which come the input and the thread's first message
--   mostMessages  how many messages may be looked at; likewise `mostSteps`
--   mostItems     how many items the page may have
--   enoughBytes   the page ends with the item that reaches them
--   mostBytes     the page has no item beyond them
--   inputBytes    nothing is read where the input is larger
--   firstBytes    a first message that is larger comes without its document
--   anchor        '', or the run for which the items were read that the caller knows: the page ends where they begin
--   anchorPlace   its place; then what is known: the newest and the oldest place, how many messages and how many steps stand
--                 from the one to the other, and the id of the thread's first message
-- Returns {'input'} where that is too large; else
--   why the page ends: 'all', 'known', 'full', or 'size' where the next item is too large; the place of that item;
--   '1' where what the caller knows still holds; how many messages and how many steps are older than that;
--   the place of the run; how many messages of the thread were deleted; the input;
--   the first message: {id, place, bytes, document}, or {id} where the page has it or the caller knows it;
--   messages: {id, place, …}, {document, …}; steps and items: {id, place, …}, {document, thoughts, asides, …};
--   what the thread goes on from, or ''
local messagesIndex, messages, messagesGone, toolSteps, steps, runs, thread, input = unpack(KEYS)
local runId, before, skipMessages, skipSteps, mostMessages, mostSteps, mostItems, enoughBytes, mostBytes, inputBytes, firstBytes, anchor, anchorPlace, newest, oldest, knownMessages, knownSteps, knownFirst =
  unpack(ARGV)
local base, cold = unpack(redis.call('HMGET', thread, 'base', ':cold'))
-- Only a thread that another one goes on from: a run holds its own.
if cold then return ifCold(thread) end
mostItems, enoughBytes, mostBytes = tonumber(mostItems), tonumber(enoughBytes), tonumber(mostBytes)

if before == '' and redis.call('STRLEN', input) > tonumber(inputBytes) then return { 'input' } end

-- That the anchor is there shows that this is still the same thread, and that Redis has lost nothing that was written before
-- that run. What is known was closed by then, so it only changes when messages are deleted. Those that were made here never
-- come back. Imported ones, whose places are below 0, may come back with other words, so they are known only of a thread of
-- which nothing was ever deleted.
local gone = redis.call('ZCARD', messagesGone)
local isKnown = anchor ~= ''
  and tonumber(redis.call('ZSCORE', runs, anchor) or '') == tonumber(anchorPlace)
  and (gone == 0 or tonumber(oldest) > 0)
  and redis.call('ZCOUNT', messagesIndex, oldest, newest) == tonumber(knownMessages)
  and redis.call('ZCOUNT', toolSteps, oldest, newest) == tonumber(knownSteps)

-- How many places are read of an index at a time.
local CHUNK = isKnown and 8 or 64

local function walker(index, most, skipped)
  local from = before == '' and 0 or redis.call('ZCOUNT', index, '(' .. before, '+inf') + tonumber(skipped)
  return { index = index, left = tonumber(most), from = from, next = 1, chunk = {}, ids = {}, rows = {} }
end

-- The place of the walker's next item; nil at the end.
local function placeOf(walk)
  if walk.next > #walk.chunk then
    local count = math.min(CHUNK, walk.left)
    if count <= 0 then return nil end
    walk.chunk = redis.call('ZREVRANGE', walk.index, walk.from, walk.from + count - 1, 'WITHSCORES')
    walk.from, walk.left, walk.next = walk.from + count, walk.left - count, 1
    if #walk.chunk == 0 then return nil end
  end
  return tonumber(walk.chunk[walk.next + 1])
end

local function take(walk)
  walk.ids[#walk.ids + 1] = walk.chunk[walk.next]
  walk.rows[#walk.rows + 1] = walk.chunk[walk.next]
  walk.rows[#walk.rows + 1] = walk.chunk[walk.next + 1]
  walk.next = walk.next + 2
end

local ofMessages, ofSteps = walker(messagesIndex, mostMessages, skipMessages), walker(toolSteps, mostSteps, skipSteps)
local fields = {}
local floor = isKnown and tonumber(newest) or -math.huge
local count, bytes, why, nextPlace = 0, 0, 'full', ''
while count < mostItems and bytes < enoughBytes do
  local message, step = placeOf(ofMessages), placeOf(ofSteps)
  local isMessage = message and not (step and step >= message)
  local place = isMessage and message or step
  if not place or place <= floor then
    why = place and 'known' or 'all'
    break
  end
  local walk = isMessage and ofMessages or ofSteps
  local id = walk.chunk[walk.next]
  local size
  if isMessage then
    size = redis.call('HSTRLEN', messages, id)
  else
    local thoughts, asides = id .. ':thoughts', id .. ':asides'
    size = redis.call('HSTRLEN', steps, id) + redis.call('HSTRLEN', steps, thoughts) + redis.call('HSTRLEN', steps, asides)
    if bytes + size <= mostBytes then
      local at = #fields
      fields[at + 1], fields[at + 2], fields[at + 3] = id, thoughts, asides
    end
  end
  if bytes + size > mostBytes then
    why, nextPlace = 'size', walk.chunk[walk.next + 1]
    break
  end
  take(walk)
  count, bytes = count + 1, bytes + size
end

local function documents(key, ids)
  return #ids == 0 and {} or redis.call('HMGET', key, unpack(ids))
end

local first = {}
if before == '' then
  local found = redis.call('ZRANGE', messagesIndex, 0, 0, 'WITHSCORES')
  local id = found[1]
  if id and (id == ofMessages.ids[#ofMessages.ids] or isKnown and id == knownFirst) then
    first = { id }
  elseif id then
    local size = redis.call('HSTRLEN', messages, id)
    first = { id, found[2], size, size <= tonumber(firstBytes) and redis.call('HGET', messages, id) or '' }
  end
end

return {
  why,
  nextPlace,
  isKnown and '1' or '',
  isKnown and redis.call('ZCOUNT', messagesIndex, '-inf', '(' .. oldest) or 0,
  isKnown and redis.call('ZCOUNT', toolSteps, '-inf', '(' .. oldest) or 0,
  redis.call('ZSCORE', runs, runId) or '',
  gone,
  before == '' and redis.call('GET', input) or '',
  first,
  ofMessages.rows,
  documents(messages, ofMessages.ids),
  ofSteps.rows,
  documents(steps, fields),
  base or '',
}
