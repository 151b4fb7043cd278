-- probe: whether the server takes writes.
-- KEYS  1 a key for nothing but this  ARGV  1 milliseconds it stays
-- Returns what the server says to the write. It is returned and not raised, because to an error that says READONLY the
-- client library replies with a new connection.
local reply = redis.pcall('SET', KEYS[1], '', 'PX', ARGV[1])
return reply.err or reply.ok
