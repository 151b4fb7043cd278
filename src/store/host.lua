-- host: notes that a machine is there, and forgets those that were not heard of for long.
-- KEYS  1 machines by when they were last heard of  ARGV  1 the machine  2 now (unix ms)  3 those heard of before this go
-- Returns what the server says to the write. It is returned and not raised, as in probe.lua: this is said every few seconds.
local reply = redis.pcall('ZADD', KEYS[1], ARGV[2], ARGV[1])
if type(reply) == 'table' and reply.err then return reply.err end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
return 'OK'
