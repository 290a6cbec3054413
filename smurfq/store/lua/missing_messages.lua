-- Returns the ids whose message is in none of a slot's lists, each followed by the time a worker took it, or ''.
-- A message in a list is not taken any more: kombu put it back because a worker did not acknowledge it.
-- keys: lists...
-- args: ids...
local queued, missing = {}, {}
for _, list in ipairs(lists) do
  for _, text in ipairs(redis.call('LRANGE', list, 0, -1)) do
    for id in string.gmatch(text, '"correlation_id": ?"([%w._-]+)"') do queued[id] = true end
  end
end
for _, id in ipairs(ids) do
  local record = 'smurfq:record:' .. id
  if queued[id] then
    redis.call('HDEL', record, '_taken')
  else
    missing[#missing + 1] = id
    missing[#missing + 1] = redis.call('HGET', record, '_taken') or ''
  end
end
return missing
