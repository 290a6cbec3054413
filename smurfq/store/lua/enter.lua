-- Adds a record to all indexes, and drops what is too old from them: from the two indexes of all records at most 100
-- at a time, so that an addition never takes long.
local function enter(all, ids, of_slot, of_operation, newest, id, operation, when, oldest, life)
  for _, index in ipairs({of_slot, of_operation}) do
    redis.call('ZADD', index, 'NX', when, id)
    redis.call('ZREMRANGEBYSCORE', index, '-inf', oldest)
  end
  redis.call('ZADD', all, 'NX', when, id)
  redis.call('ZADD', ids, 0, id)
  local old = redis.call('ZRANGEBYSCORE', all, '-inf', oldest, 'LIMIT', 0, 100)
  if #old > 0 then
    redis.call('ZREM', all, unpack(old))
    redis.call('ZREM', ids, unpack(old))
  end
  redis.call('HSET', newest, operation, id)
  for _, key in ipairs({all, ids, of_slot, of_operation, newest}) do redis.call('EXPIRE', key, life) end
end
