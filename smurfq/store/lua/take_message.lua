-- Takes the next message of the lists that a worker serves, in order, and marks its record as taken.
-- Returns the list and the message, as BRPOP does. So a message that is in no queue is either with a worker (its record
-- is marked) or was removed by somebody, by a purge or DEL; BRPOP alone leaves no trace of who has the message.
-- No blocking command of Redis does that. A worker that finds nothing waits for its `smurfq:wake:…` lists instead, and
-- whoever queues a message pushes there too. A message queued in another way is found within a second.
-- The record is marked before the message is removed: if Redis is out of memory, it rejects the mark.
-- keys: lists...
-- args: now
-- uses: wake
for i, list in ipairs(lists) do
  local text = redis.call('LINDEX', list, -1)
  if text then
    local id = string.match(text, '"correlation_id": ?"([%w._-]+)"')
    local record = id and 'smurfq:record:' .. id
    if record and redis.call('EXISTS', record) == 1 then redis.call('HSET', record, '_taken', now) end
    redis.call('RPOP', list)
    for j = i, #lists do
      if redis.call('EXISTS', lists[j]) == 1 then wake(lists[j]); break end
    end
    return {list, text}
  end
end
return false
