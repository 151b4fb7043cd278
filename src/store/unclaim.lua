-- Gives a claim back, unless another has it. KEYS: the claim. ARGV: my value.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
