-- Records and queues all items, or none of them.
-- Keys: waiting; for each item its record, list, duplicates, present run, and its five indexes; the checked locks.
-- Words: for each check the owner and the time of acceptance; for each item its id, time, uniqueness, message text,
-- operation, the number of its header's fields, and their names and values.
-- keys: waiting, item_keys...
-- args: nonce, expires_s, oldest, items, checks, words...
-- uses: json_string, enter, wake
items, checks = tonumber(items), tonumber(checks)
if redis.call('HGET', item_keys[1], '_admitted') == nonce then return {'ok'} end
for i = 1, checks do
  local text = redis.call('GET', item_keys[9 * items + i])
  if text then
    local lock = cjson.decode(text)
    local owner, accepted = words[2 * i - 1], tonumber(words[2 * i])
    if lock['owner'] ~= owner and lock['since'] <= accepted then return {'locked', i - 1, text} end
  end
end
local function waits(id) return redis.call('ZSCORE', waiting, id) end
local function runs(id, running) return json_string(redis.call('GET', running) or '', 'task_id') == '"' .. id .. '"' end
local function item(number, at)
  local k = 9 * (number - 1)
  return {
    record = item_keys[k + 1], list = item_keys[k + 2], duplicates = item_keys[k + 3], running = item_keys[k + 4],
    all = item_keys[k + 5], ids = item_keys[k + 6], of_slot = item_keys[k + 7], of_operation = item_keys[k + 8],
    newest = item_keys[k + 9],
    id = words[at], when = words[at + 1], unique = words[at + 2], text = words[at + 3], operation = words[at + 4],
    header = at + 6, next = at + 6 + 2 * tonumber(words[at + 5]),
  }
end
local admitted, at = {}, 1 + 2 * checks
for i = 1, items do
  local new = item(i, at)
  if redis.call('EXISTS', new.record) == 1 then return {'known', i - 1, new.id} end
  if new.unique ~= '' then
    for _, id in ipairs(redis.call('SMEMBERS', new.duplicates)) do
      if waits(id) then return {'waiting', i - 1, id} end
      local running = runs(id, new.running)
      if running and new.unique == 'running' then return {'running', i - 1, id} end
      if not running then redis.call('SREM', new.duplicates, id) end
    end
  end
  admitted[i], at = new, new.next
end
for _, new in ipairs(admitted) do
  for j = new.header, new.next - 1, 2 do redis.call('HSET', new.record, words[j], words[j + 1]) end
  redis.call('HSET', new.record, '_admitted', nonce)
  redis.call('EXPIRE', new.record, expires_s)
  enter(new.all, new.ids, new.of_slot, new.of_operation, new.newest, new.id, new.operation, new.when, oldest, expires_s)
  redis.call('ZADD', waiting, 'NX', new.when, new.id)
  redis.call('LPUSH', new.list, new.text)
  wake(new.list)
  for _, other in ipairs(redis.call('SRANDMEMBER', new.duplicates, 3)) do
    if not waits(other) and not runs(other, new.running) then redis.call('SREM', new.duplicates, other) end
  end
  redis.call('SADD', new.duplicates, new.id)
  redis.call('EXPIRE', new.duplicates, expires_s)
end
return {'ok'}
