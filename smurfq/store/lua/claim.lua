-- Claims one attempt of a task, in one atomic step.
-- keys: meta, claim, running, record, waiting, lease
-- args: claimant, running_text, started_meta, expires_s, request, task_id, token
-- uses: json_string, final_state
local state = final_state(meta)
if state then
  redis.call('ZREM', waiting, task_id)
  return {'final', state}
end
local owner = redis.call('GET', claim)
if owner == claimant then redis.call('EXPIRE', claim, expires_s) end -- a write, for WAIT
if owner then return {'claimed', owner} end
local leased = redis.call('GET', lease)
if leased and leased ~= token then return {'unleased', leased} end
local busy = redis.call('GET', running)
if busy then return {'busy', busy} end
redis.call('SET', claim, claimant, 'EX', expires_s)
redis.call('SET', running, running_text)
redis.call('HSET', record, '_request', request)
redis.call('HDEL', record, '_message', '_resent', '_taken')
redis.call('EXPIRE', record, expires_s)
redis.call('ZREM', waiting, task_id)
redis.call('SET', meta, started_meta, 'EX', expires_s)
redis.call('PUBLISH', meta, started_meta)
return {'ok', ''}
