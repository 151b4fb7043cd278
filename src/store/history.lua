-- history: what a prompt is made from, read newest first until a budget is used up. Reads only.
-- KEYS  1 messages:index  2 messages  3 steps:tools  4 steps  5 runs  6 input
-- ARGV  1 run id  2 bytes  3 tokens of text  4 items of each kind that may be looked at
--       5 bytes above which nothing is read, so that the caller may make room first
-- What the run itself said and did, and the newest message of a user before it, are part of every prompt. Of the rest,
-- whatever is older than the first item that does not fit is left out, but for the thread's first message.
-- Returns {1, input ('' none), place, document, thoughts ('' none), asides ('' none), place, …}, items in no order; {-1} when what every prompt
-- has is above the bytes; {-2} when the whole is large.
local runId, maxBytes, maxTokens, maxItems = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local large = tonumber(ARGV[5])

local CHUNK = 64
-- A document's fields beside its text, and the most bytes of it that make one estimated token: four, each escaped. Nothing
-- that fits into the prompt is left out for this guess; what it lets in beyond that is cut when the prompt is built.
local ENVELOPE, TOKEN_BYTES = 600, 8
-- A user's picture costs this at least, however long its data URL. An assistant's is only mentioned.
local IMAGE_TOKENS = 700
-- Documents are written without blanks, and quotes inside of texts are escaped.
local USER = '"role":"user"'
-- The beginning says what the thread is about, but not at any price.
local FIRST_SHARE = 4

local function walker(index, docs)
  return { index = index, docs = docs, ids = {}, next = 1, read = 0 }
end

-- The place of the walker's next item; nil at the end.
local function placeOf(walk)
  if walk.next > #walk.ids then
    local count = math.min(CHUNK, maxItems - walk.read)
    if count <= 0 then return nil end
    walk.ids = redis.call('ZREVRANGE', walk.index, walk.read, walk.read + count - 1, 'WITHSCORES')
    walk.next = 1
    walk.read = walk.read + count
    if #walk.ids == 0 then return nil end
  end
  return tonumber(walk.ids[walk.next + 1])
end

local input = redis.call('STRLEN', KEYS[6])
if input > large then return {-2} end

local answer, bytes, tokens = {1, redis.call('GET', KEYS[6]) or ''}, 0, 0
local taken = {}

local function take(place, id, doc, thoughts, asides)
  taken[id] = true
  answer[#answer + 1] = place
  answer[#answer + 1] = doc
  answer[#answer + 1] = thoughts or ''
  answer[#answer + 1] = asides or ''
  bytes = bytes + #doc + #(thoughts or '') + #(asides or '')
  if not string.find(doc, 'data:image/', 1, true) and not string.find(doc, '"type":"image_url"', 1, true) then
    tokens = tokens + math.max(0, #doc - ENVELOPE) / TOKEN_BYTES
  elseif string.find(doc, USER, 1, true) then
    tokens = tokens + IMAGE_TOKENS
  end
end

-- While the run holds its thread only the run itself adds to it: all that comes after it is its own.
local began = tonumber(redis.call('ZSCORE', KEYS[5], runId) or math.huge)

-- The question: nearly always the newest message that is not the run's own.
local messages = walker(KEYS[1], KEYS[2])
while true do
  local place = placeOf(messages)
  if not place then break end
  local id = messages.ids[messages.next]
  messages.next = messages.next + 2
  if place <= began and redis.call('HSTRLEN', KEYS[2], id) > large then return {-2} end
  local doc = place <= began and redis.call('HGET', KEYS[2], id)
  if doc and string.find(doc, USER, 1, true) then
    if #doc > maxBytes then return {-1} end
    take(messages.ids[messages.next - 1], id, doc)
    break
  end
end

local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if first[1] and not taken[first[1]] then
  local size = redis.call('HSTRLEN', KEYS[2], first[1])
  if size > 0 and size <= maxBytes / FIRST_SHARE and bytes + size <= maxBytes then
    if bytes + size > large then return {-2} end
    take(first[2], first[1], redis.call('HGET', KEYS[2], first[1]))
  end
end

local messages, steps = walker(KEYS[1], KEYS[2]), walker(KEYS[3], KEYS[4])
while true do
  local message, step = placeOf(messages), placeOf(steps)
  if not message and not step then break end
  local walk = (not step or (message and message > step)) and messages or steps
  local own = (walk == messages and message or step) > began
  local id, place = walk.ids[walk.next], walk.ids[walk.next + 1]
  walk.next = walk.next + 2
  if not taken[id] then
    local thoughts, asides = '', ''
    if walk == steps then
      local beside = redis.call('HMGET', walk.docs, id .. ':thoughts', id .. ':asides')
      thoughts, asides = beside[1] or '', beside[2] or ''
    end
    local size = redis.call('HSTRLEN', walk.docs, id) + #thoughts + #asides
    local fits = bytes + size <= maxBytes
    if own and not fits then return {-1} end
    if not own and not (fits and tokens < maxTokens) then break end
    if bytes + size > large then return {-2} end
    if size > 0 then take(place, id, redis.call('HGET', walk.docs, id), thoughts, asides) end
  end
end
return answer
