-- note: a key that says something by being there, for a while. A script, because a connection that waits sends scripts again
-- while Redis refuses (scripts.ts).
-- KEYS  1 the key
-- ARGV  1 seconds it stays
redis.call('SET', KEYS[1], '', 'EX', ARGV[1])
return 1
