-- trace: notes for the trace of a run what a worker has done. What there is no room for is left out.
-- KEYS  1 run  2 its trace
-- ARGV  1 how many notes it may have  2 milliseconds it stays from now on, or as long as the run where that expires sooner
--       3… the notes, no two of which are ever the same
-- Returns 1, or 0 when there is no such run. Idempotent, unless other notes came in between: whoever reads them takes each once.
local run, trace = KEYS[1], KEYS[2]
local most, stays = tonumber(ARGV[1]), tonumber(ARGV[2])
local left = redis.call('PTTL', run)
if left == -2 then return 0 end
if redis.call('LINDEX', trace, -1) ~= ARGV[#ARGV] then
  local last = math.min(#ARGV, 2 + most - redis.call('LLEN', trace))
  for i = 3, last, 1000 do redis.call('RPUSH', trace, unpack(ARGV, i, math.min(i + 999, last))) end
end
redis.call('PEXPIRE', trace, left >= 0 and math.min(left, stays) or stays)
return 1
