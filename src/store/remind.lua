-- remind: says when to look at a run. A script, because a connection that waits sends scripts again while Redis refuses
-- (scripts.ts).
-- KEYS  1 the index of open runs
-- ARGV  1 member  2 when to look (unix ms)  3 '' to say so whatever was said before; else now (unix ms): then only a member
--       that is due is put off, because a later time was set meanwhile, by a process that knew more
if ARGV[3] ~= '' then
  local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if not due or tonumber(due) > tonumber(ARGV[3]) then return 0 end
end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
return 1
