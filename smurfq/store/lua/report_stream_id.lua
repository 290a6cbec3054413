-- Writes the stream id of a slot, and removes it from slots whose workers are gone. Returns an empty text; or another
-- slot whose worker lives and has reported this stream id, in which case nothing is written.
-- keys: stream_ids
-- args: slot, stream_id, worker_prefix
local known, stale = redis.call('HGETALL', stream_ids), {}
for i = 1, #known, 2 do
  if known[i] ~= slot and known[i + 1] == stream_id then
    if redis.call('EXISTS', worker_prefix .. known[i]) == 1 then return known[i] end
    stale[#stale + 1] = known[i]
  end
end
for _, place in ipairs(stale) do redis.call('HDEL', stream_ids, place) end
redis.call('HSET', stream_ids, slot, stream_id)
return ''
