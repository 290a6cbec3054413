-- Renews a worker's description and writes those of its fields that changed.
-- A description with fewer than `count` fields is left alone: it vanished, or only a part of it was written. If Redis
-- has no memory for the fields, the description lives on and the error is returned. EXPIRE comes last: after a script's
-- first write Redis no longer checks its memory.
-- keys: description
-- args: expires_s, count, changed...
if redis.call('HLEN', description) < tonumber(count) then return 0 end
local written = redis.pcall('HSET', description, unpack(changed))
redis.call('EXPIRE', description, expires_s)
if type(written) == 'table' then return written end
return 1
