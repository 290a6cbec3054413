"""The Lua script with which a worker takes a message and marks its record as taken.

So a message that is in no queue is either in a worker's hands (its record is marked) or was removed by somebody: a
purge, a ``DEL``. kombu's own BRPOP removes the message and leaves no trace of who has it.

No blocking command of Redis does that. A worker that finds nothing waits on the list ``keys.wake`` of each of its
queues instead; whoever queues a message pushes there, too. A message that is queued in another way is found at
the next look, within a second.
"""

from __future__ import annotations

# Wakes a worker that waits for messages in ``list``. One token is enough: ``TAKE`` passes it on. If this fails, the
# worker looks within a second anyway; the message, which is queued or taken by now, must not be lost for it.
WAKE = """
local function wake(list)
  local key = 'smurfq:wake:' .. string.match(list, '^[^%c]+')
  redis.pcall('LPUSH', key, '1')
  redis.pcall('LTRIM', key, 0, 0)
  redis.pcall('EXPIRE', key, 60)
end
"""

# KEYS: the lists that a worker serves, in order.  ARGV: the time.  Answers as BRPOP: the list and the message.
# The record is marked before the message is removed: where memory has run out, the mark is rejected.
TAKE = (
    WAKE
    + """
for i, list in ipairs(KEYS) do
  local text = redis.call('LINDEX', list, -1)
  if text then
    local id = string.match(text, '"correlation_id": ?"([%w._-]+)"')
    local record = id and 'smurfq:record:' .. id
    if record and redis.call('EXISTS', record) == 1 then redis.call('HSET', record, '_taken', ARGV[1]) end
    redis.call('RPOP', list)
    for j = i, #KEYS do
      if redis.call('EXISTS', KEYS[j]) == 1 then wake(KEYS[j]); break end
    end
    return {list, text}
  end
end
return false
"""
)

# KEYS: the lists of a slot.  ARGV: ids of its records.  Those whose message is in none of the lists, each with when a
# worker took it, or ''.  What is in a list is no longer taken: kombu puts back what a worker did not acknowledge.
MISSING = """
local queued, missing = {}, {}
for _, list in ipairs(KEYS) do
  for _, text in ipairs(redis.call('LRANGE', list, 0, -1)) do
    for id in string.gmatch(text, '"correlation_id": ?"([%w._-]+)"') do queued[id] = true end
  end
end
for _, id in ipairs(ARGV) do
  local record = 'smurfq:record:' .. id
  if queued[id] then
    redis.call('HDEL', record, '_taken')
  else
    missing[#missing + 1] = id
    missing[#missing + 1] = redis.call('HGET', record, '_taken') or ''
  end
end
return missing
"""

# KEYS: list, record, waiting.  ARGV: the message's text, task id, the time.
SEND_AGAIN = (
    WAKE
    + """
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('HINCRBY', KEYS[2], '_resent', 1)
redis.call('HDEL', KEYS[2], '_taken')
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[2])
wake(KEYS[1])
"""
)
