-- order: say what is wanted of a worker: that it pauses or leaves, how many slots it uses, which
-- queues it serves. It hears of it with the next renewal of its lease (and by a message at once, as a
-- hint). The orders of a lease go with it.
-- keys   1 prefix
-- args   1 who and why: '' or the rest of a JSON object, as `,"by":"ada"`  2 lease
--        3 kind (drain | pause | concurrency | queues)  4 value (JSON)
-- reply  ok <number of the order> | lost
--        Numbers of one lease go up by one; a worker tells the last one that it has taken up.
-- cost   O(1)
local now = now_ms()
if not call('ZSCORE', LEASES, ARGV[2]) then return { 'lost' } end

-- nothing above writes
local key = prefix .. 'orders:' .. ARGV[2]
local number = call('HINCRBY', key, 'number', 1)
call('HSET', key, ARGV[3], '{"value":' .. ARGV[4] .. ',"at":' .. now .. ARGV[1] .. '}')
call('PUBLISH', prefix .. 'told:' .. ARGV[2], 'order')
return { 'ok', number }
