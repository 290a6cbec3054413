-- Returns Celery's metadata of each task that has ended, and '' for each other task.
-- keys: metas...
-- uses: json_string, final_state
local found = {}
for i, meta in ipairs(metas) do found[i] = final_state(meta) and redis.call('GET', meta) or '' end
return found
