-- beat: a worker tells who it is and what it does. No decision depends on it: leases do that.
-- keys   1 prefix of the namespace
-- args   1 lease  2 time to live (ms)  3 description (JSON); '' when the worker leaves
-- reply  ok
-- cost   O(log workers)
local t = call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

-- nothing above writes
if ARGV[3] == '' then
  call('DEL', worker_key(ARGV[1]))
  call('ZREM', WORKERS, ARGV[1])
else
  call('SET', worker_key(ARGV[1]), ARGV[3], 'PX', ARGV[2])
  call('ZADD', WORKERS, now + ARGV[2], ARGV[1])
end
call('ZREMRANGEBYSCORE', WORKERS, '-inf', now)
return { 'ok' }
