-- Removes the note of the present run, if it names this task, and adds the run to the recent runs.
-- `task_id` is JSON text.
-- If Redis is out of memory, the run is not added, but the slot is free.
-- keys: running, recent_runs
-- args: task_id, run, runs_kept, expires_s
-- uses: json_string
if json_string(redis.call('GET', running) or '', 'task_id') ~= task_id then return 0 end
redis.pcall('LPUSH', recent_runs, run)
redis.call('LTRIM', recent_runs, 0, runs_kept - 1)
redis.call('EXPIRE', recent_runs, expires_s)
redis.call('DEL', running)
return 1
