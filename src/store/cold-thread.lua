-- Stands at the beginning of every script: what a script answers where the thread under this key is cold, else false. Whoever
-- hears it brings the thread back and asks again (cold-threads.ts).
local function ifCold(thread)
  local mark = redis.call('HGET', thread, ':cold')
  return mark and redis.error_reply('COLD ' .. mark)
end

