-- page: one page of a list, by cursor.
-- KEYS  1 index  2 gone  3 documents (hash by id)  4 labels (hash by id), where items have them
-- ARGV  1 limit  2 'asc' or 'desc'  3 after ('' none)  4 before ('' none)
--       5 prefix of the keys that hold one document each in field `doc`; '' when KEYS[3] holds them
--       6 bytes of documents: a page that is full ends before its limit, but never before its first item
--       7 bytes of documents beyond which the page is not read; '' when it is to be read in any case
--       8 '1' when the last of KEYS is the thread of the items, which may be cold
-- Returns {1, has_more, id, document, label, id, document, label, …}, absent ones as ''; {0, cursor} for a cursor that
-- never named an item here; {2, bytes} for a page that was not read. A deleted item's place is remembered, so paging goes on where it stood.
local limit, order, after, before = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local thread = ARGV[8] == '1' and KEYS[#KEYS]
local labels = #KEYS > (thread and 4 or 3) and KEYS[4]

-- How many items stand before that of this id, and how many up to it. A deleted one stands between two; items of the same
-- place are in the order of their ids.
local function ranksOf(id)
  local rank = redis.call('ZRANK', KEYS[1], id)
  if rank then return rank, rank + 1 end
  local place = redis.call('ZSCORE', KEYS[2], id)
  if not place then return nil end
  rank = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. place)
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], place, place)) do
    if other < id then rank = rank + 1 end
  end
  return rank, rank
end

-- The items between the cursors, as ranks: `first` is the first of them, `past` the first behind them.
local first, past = 0, redis.call('ZCARD', KEYS[1])
if past == 0 and thread then
  local cold = ifCold(thread)
  if cold then return cold end
end
if after ~= '' then
  local to, from = ranksOf(after)
  if not to then return {0, after} end
  if order == 'asc' then first = from else past = to end
end
if before ~= '' then
  local to, from = ranksOf(before)
  if not to then return {0, before} end
  if order == 'asc' then past = to else first = from end
end

-- The page lies next to its cursor: with `before` alone it is read backwards, from the cursor.
local backwards = before ~= '' and after == ''
local ids = {}
if first < past and (order == 'asc') ~= backwards then
  ids = redis.call('ZRANGE', KEYS[1], first, math.min(past - 1, first + limit))
elseif first < past then
  local found = redis.call('ZRANGE', KEYS[1], math.max(first, past - 1 - limit), past - 1)
  for i = 1, #found do ids[i] = found[#found + 1 - i] end
end

local more = 0
if #ids > limit then
  more = 1
  ids[#ids] = nil
end

-- From the cursor on, so that a full page lacks what is farthest from it.
local function docOf(id)
  if ARGV[5] ~= '' then return ARGV[5] .. id, 'doc' end
  return KEYS[3], id
end

-- A document of its own may name a content that is read with it (compact.ts), and how large that is. It is small then.
local MAX_NAMING_BYTES = 4096
local function sizeOf(id)
  local size = redis.call('HSTRLEN', docOf(id))
  if ARGV[5] == '' or size > MAX_NAMING_BYTES then return size end
  local content = string.match(redis.call('HGET', docOf(id)) or '', '^{"content":"[%w_-]+:(%d+)"')
  return size + tonumber(content or 0)
end

local count, bytes = 0, 0
for i = 1, #ids do
  local size = sizeOf(ids[i])
  if i > 1 and bytes + size > tonumber(ARGV[6]) then
    more = 1
    break
  end
  count, bytes = i, bytes + size
end
if ARGV[7] ~= '' and bytes > tonumber(ARGV[7]) then return {2, bytes} end

local items = {}
for i = 1, count do
  local id = ids[i]
  items[i] = { id, redis.call('HGET', docOf(id)) or '', labels and redis.call('HGET', labels, id) or '' }
end

local answer = {1, more}
for i = 1, #items do
  for _, value in ipairs(items[backwards and (#items + 1 - i) or i]) do answer[#answer + 1] = value end
end
return answer
