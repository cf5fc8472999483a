-- open: begin a lease. Its in-flight hash and its deadline come to be together.
-- keys   1 prefix
-- args   1 lease  2 visibility time-out (ms)
-- reply  ok <now ms> | taken
-- cost   O(log leases)
local now = now_ms()
if call('ZSCORE', LEASES, ARGV[1]) then return { 'taken' } end

-- nothing above writes
call('ZADD', LEASES, now + tonumber(ARGV[2]), ARGV[1])
call('HSET', inflight_key(ARGV[1]), '#', '0')
return { 'ok', now }
