-- Replaces the note of the present run, if the note names this task. `task_id` is JSON text, with quotes.
-- keys: running
-- args: task_id, running_text
-- uses: json_string
if json_string(redis.call('GET', running) or '', 'task_id') ~= task_id then return 0 end
redis.call('SET', running, running_text)
return 1
