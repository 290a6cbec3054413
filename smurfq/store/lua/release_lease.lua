-- Lets a lease expire after `left_ms`, if it is the token's. The lease is not deleted, so that a worker that stands by
-- sees that it was released: a lease that vanishes at once was lost by Redis, and its worker takes it again.
-- keys: lease
-- args: token, left_ms
if redis.call('GET', lease) == token then return redis.call('PEXPIRE', lease, left_ms) end
return 0
