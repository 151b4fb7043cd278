-- strike: takes a member from an index, unless its score was set anew since it was read. Idempotent.
-- KEYS  1 the index  ARGV  1 member  2 the score as it was read
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
