-- Writes how a run ended, once. A status may be written late, over "done", so the outcome decides.
-- keys: record, events, waiting, data, last_of_slots, copy
-- args: expires_s, task_id, writer, batch, header...
if redis.call('HEXISTS', record, 'outcome') == 1 then return 0 end
redis.call('XADD', events, '*', 'w', writer, 'n', '0', 'b', batch)
if redis.call('XLEN', events) < 1000 then -- a stream reserves room for more, a copy does not: this saves some 3 kB
  redis.call('COPY', events, copy, 'REPLACE')
  redis.call('RENAME', copy, events)
end
for i = 1, #header, 2 do redis.call('HSET', record, header[i], header[i + 1]) end
redis.call('HINCRBY', record, '_rev', 1)
redis.call('EXPIRE', record, expires_s)
redis.call('EXPIRE', events, expires_s)
redis.call('EXPIRE', data, expires_s)
redis.call('ZREM', waiting, task_id)
local slot = redis.call('HGET', record, 'slot')
if slot then redis.call('HSET', last_of_slots, string.sub(slot, 2, -2), task_id) end
return 1
