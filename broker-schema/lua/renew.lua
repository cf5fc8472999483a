-- renew: prolong a lease, and tell it which of the jobs it works for are over.
-- keys   1 prefix
-- args   1 lease  2 visibility time-out (ms), then the jobs it holds chunks of
-- reply  ok <now ms> <jobs that are over> | lost
-- cost   O(log leases + jobs)
local now = now_ms()
if not call('ZSCORE', LEASES, ARGV[1]) then return { 'lost' } end

-- nothing above writes
call('ZADD', LEASES, 'XX', 'GT', now + tonumber(ARGV[2]), ARGV[1])
local over = {}
for i = 3, #ARGV do
  if call('HGET', job_key(ARGV[i]), 'state') ~= 'running' then over[#over + 1] = ARGV[i] end
end
return { 'ok', now, over }
