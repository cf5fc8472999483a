-- close: end a lease in good order. It must hold nothing any more.
-- keys   1 prefix
-- args   1 lease
-- reply  ok | busy <number of things it still holds> | lost
-- cost   O(log leases)
if not call('ZSCORE', LEASES, ARGV[1]) then return { 'lost' } end
local held = call('HLEN', inflight_key(ARGV[1]))
if held > 1 then return { 'busy', held - 1 } end

-- nothing above writes
call('ZREM', LEASES, ARGV[1])
call('DEL', inflight_key(ARGV[1]), prefix .. 'orders:' .. ARGV[1])
call('HDEL', prefix .. 'hosts', ARGV[1])
return { 'ok' }
