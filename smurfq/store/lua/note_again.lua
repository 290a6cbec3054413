-- Writes the note of the present run again, for the holder of the lease, if there is no note or if the note names the
-- task `instead_of` (JSON text, with quotes; '' means no task).
-- keys: lease, running
-- args: token, running_text, instead_of
-- uses: json_string
if redis.call('GET', lease) ~= token then return 0 end
local noted = redis.call('GET', running)
if instead_of == '' then
  if noted then return 0 end
elseif json_string(noted or '', 'task_id') ~= instead_of then
  return 0
end
redis.call('SET', running, running_text)
return 1
