-- Returns the state in Celery's metadata of a task if the task has ended, else nil.
local function final_state(meta)
  local state = json_string(redis.call('GET', meta) or '', 'status')
  if state == '"SUCCESS"' or state == '"FAILURE"' or state == '"REVOKED"' then return string.sub(state, 2, -2) end
end
