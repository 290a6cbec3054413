-- Returns 1 if the lease is the token's, 0 if it is another's, -1 if nobody has it.
-- Redis runs PEXPIRE even when it is out of memory, so a worker never loses its lease for lack of memory.
-- keys: lease
-- args: token, ttl_ms
local owner = redis.call('GET', lease)
if owner == token then return redis.call('PEXPIRE', lease, ttl_ms) end
if owner then return 0 end
return -1
