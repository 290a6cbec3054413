-- Makes a message the next to be served, if it is still in its list.
-- keys: list, front
-- args: text
if redis.call('LREM', list, 1, text) ~= 1 then return 0 end
redis.call('RPUSH', front, text)
return 1
