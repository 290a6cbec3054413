-- Wakes a worker that waits for messages in `list`. One token is enough: the worker that takes a message passes it on.
-- Errors are ignored: the message must not be lost, and the worker checks its lists once a second anyway.
local function wake(list)
  local key = 'smurfq:wake:' .. string.match(list, '^[^%c]+')
  redis.pcall('LPUSH', key, '1')
  redis.pcall('LTRIM', key, 0, 0)
  redis.pcall('EXPIRE', key, 60)
end
