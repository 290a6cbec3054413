-- Writes a snapshot of a live record, unless the task has ended or a newer snapshot is there. Returns 1 if written.
-- Python makes the JSON: cjson would turn [] into {} and cut floats.
-- keys: meta, record
-- args: text, expires_s, revision
-- uses: json_string, final_state
if final_state(meta) then return 0 end
local shown = tonumber(redis.call('HGET', record, '_shown') or '-1')
if shown > tonumber(revision) then return 0 end
redis.call('HSET', record, '_shown', revision)
redis.call('SET', meta, text, 'EX', expires_s)
redis.call('PUBLISH', meta, text)
return 1
