-- Removes the message of a file from its stream, and once it is removed: sets it aside for `reason`, or counts it as
-- registered ('' for none); and adds `batch` (JSON text, '' for none) to the record of its run, if there still is one.
-- keys: stream, set_aside, totals, events
-- args: position, message, reason, database, writer, number, batch
if redis.call('XDEL', stream, position) == 0 then return 0 end
if reason ~= '' then
  redis.call('XADD', set_aside, '*', 'm', message, 'reason', reason)
else
  redis.call('HINCRBY', totals, 'registered', 1)
  redis.call('HSET', totals, 'database', database)
end
if batch ~= '' and redis.call('EXISTS', events) == 1 then
  redis.call('XADD', events, '*', 'w', writer, 'n', number, 'b', batch)
end
return 1
