-- Returns 1 if the lease is the token's now, else 0.
-- keys: lease
-- args: token, ttl_ms
if redis.call('SET', lease, token, 'PX', ttl_ms, 'NX') then return 1 end
-- Two processes of a worker renew its lease, and both may have found it expired.
if redis.call('GET', lease) == token then return redis.call('PEXPIRE', lease, ttl_ms) end
return 0
