-- Takes the next message of the lists that a worker serves, in order, and marks its record as taken.
-- Returns the list and the message, as BRPOP does. If a message is in no queue, either a worker has it (its record is
-- marked), or somebody removed it with a purge or DEL. BRPOP alone does not distinguish the two.
-- No blocking command of Redis can do this. A worker that finds no message waits for its `smurfq:wake:…` lists, into
-- which smurfq's submissions push too. A message that was queued in another way is found within a second.
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
