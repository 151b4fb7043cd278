-- Claims something for whoever names it first. The value says who has it.
-- KEYS: the claim. ARGV: my value; the value of another that may be replaced, or ''; how long it is kept, in seconds.
-- Answers the value that holds afterwards.
local held = redis.call('GET', KEYS[1])
if held == false or held == ARGV[1] or held == ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
  return ARGV[1]
end
return held
