-- Sets or deletes a hold or lock. It returns what was there; another owner's is changed only by force.
-- An empty `text` deletes it; an empty `life_ms` lets it last for ever.
-- keys: reservation
-- args: owner, force, text, life_ms
local present = redis.call('GET', reservation)
if present and force == '0' and cjson.decode(present)['owner'] ~= owner then return {'refused', present} end
if text == '' then redis.call('DEL', reservation)
elseif life_ms == '' then redis.call('SET', reservation, text)
else redis.call('SET', reservation, text, 'PX', life_ms) end
return {'done', present or ''}
