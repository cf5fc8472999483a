-- renew: prolong a lease, and tell it what is wanted of it: the jobs it works for that are over, the
-- tasks it holds that are to be cancelled, and the orders of people to its worker.
-- keys   1 prefix
-- args   1 lease  2 visibility time-out (ms), then the jobs it holds chunks of
-- reply  ok <now ms> <jobs that are over> <tasks to cancel: id, who and why (JSON)> <orders: field, value>
--        | lost
--        Of very many tasks to cancel some are told, others with the next renewals.
-- cost   O(log leases + jobs); while anything is to be cancelled also O(what is held), at most 2,000
local CANCELS, MOST = prefix .. 'cancels', 2000
local now = now_ms()
if not call('ZSCORE', LEASES, ARGV[1]) then return { 'lost' } end

-- nothing above writes
call('ZADD', LEASES, 'XX', 'GT', now + tonumber(ARGV[2]), ARGV[1])
local over = {}
for i = 3, #ARGV do
  if call('HGET', job_key(ARGV[i]), 'state') ~= 'running' then over[#over + 1] = ARGV[i] end
end

-- Those of the flagged tasks that the lease holds: the shorter one of the two is gone through.
local function to_cancel()
  local flagged = call('HLEN', CANCELS)
  if flagged == 0 then return {} end
  local held, few, many = inflight_key(ARGV[1]), CANCELS, inflight_key(ARGV[1])
  if call('HLEN', held) < flagged then few, many = held, CANCELS end
  local ids, told = call('HRANDFIELD', few, MOST), {}
  if #ids == 0 then return {} end
  local values = call('HMGET', many, unpack(ids))
  for i, id in ipairs(ids) do
    if values[i] then
      told[#told + 1], told[#told + 2] = id, many == CANCELS and values[i] or call('HGET', CANCELS, id)
    end
  end
  return told
end

return { 'ok', now, over, to_cancel(), call('HGETALL', prefix .. 'orders:' .. ARGV[1]) }
