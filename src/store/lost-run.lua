-- Stands at the beginning of every script: whether the run under this key is lost, so that it must hold no thread any more.
local function isLost(key)
  local fields = redis.call('HMGET', key, 'doc', 'version', 'seq')
  return not (fields[1] and fields[2] and fields[3])
end

