-- abandon: gives up a run whose document cannot be read, once it has been so for a while: frees its thread and tells its
-- readers. The document stays. A run that was written since it was noticed is noticed anew.
-- KEYS  1 run  2 active
-- ARGV  1 run id  2 milliseconds to wait  3 random token of this call  4 channel of changes  5 channel of the run's events
-- Returns 'noticed' to the call that was the first to say so, 'waiting' to others; 'given up' to the call that did it, 'over'
-- to others. A call that is sent twice gets the same answer twice, by its token.
if redis.call('EXISTS', KEYS[1]) == 0 then return 'over' end
local stored = redis.call('HMGET', KEYS[1], 'version', 'unreadable', 'given_up')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local version, noted, by = stored[1] or '', stored[2] or '', stored[3]
local mark = version .. ' '
if string.sub(noted, 1, #mark) ~= mark then
  redis.call('HSET', KEYS[1], 'unreadable', mark .. string.format('%.0f', now) .. ' ' .. ARGV[3])
  redis.call('HDEL', KEYS[1], 'given_up')
  return 'noticed'
end
local since, token = string.match(string.sub(noted, #mark + 1), '^(%d+) ?(.*)$')
if by then return by == ARGV[3] and 'given up' or 'over' end
if now - tonumber(since or '0') < tonumber(ARGV[2]) then return token == ARGV[3] and 'noticed' or 'waiting' end
redis.call('HSET', KEYS[1], 'given_up', ARGV[3])
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
redis.call('SPUBLISH', ARGV[5], 'gone')
redis.call('PUBLISH', ARGV[4], ARGV[1])
return 'given up'
