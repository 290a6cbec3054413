-- Sets or deletes a hold or lock, and returns the old one. Another owner's is changed only if `force` is set.
-- If `text` is empty, it is deleted. If `life_ms` is empty, it never expires.
-- keys: reservation
-- args: owner, force, text, life_ms
local present = redis.call('GET', reservation)
if present and force == '0' and cjson.decode(present)['owner'] ~= owner then return {'refused', present} end
if text == '' then redis.call('DEL', reservation)
elseif life_ms == '' then redis.call('SET', reservation, text)
else redis.call('SET', reservation, text, 'PX', life_ms) end
return {'done', present or ''}
