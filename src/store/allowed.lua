-- allowed: which of these commands the user of this connection may not run. It runs none of them.
-- KEYS  1 any key of ours, for the slot
-- ARGV  commands, each with its arguments in one text
-- Returns those that are refused; nothing where the server cannot tell.
local refused = {}
if not redis.acl_check_cmd then return refused end
for i = 1, #ARGV do
  local words = {}
  for word in string.gmatch(ARGV[i], '%S+') do words[#words + 1] = word end
  local isKnown, isAllowed = pcall(redis.acl_check_cmd, unpack(words))
  if isKnown and not isAllowed then refused[#refused + 1] = ARGV[i] end
end
return refused
