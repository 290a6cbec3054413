-- Adds a record to the indexes, if it is not there.
-- keys: all, ids, of_slot, of_operation, newest
-- args: id, operation, when, oldest, expires_s
-- uses: enter
if not redis.call('ZSCORE', all, id) then
  enter(all, ids, of_slot, of_operation, newest, id, operation, when, oldest, expires_s)
end
