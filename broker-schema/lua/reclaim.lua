-- reclaim: upkeep that any worker does now and then, also when it is too busy to claim: put back
-- what expired leases held, promote what is due, end what expired.
-- from   running -> ready | failed    delayed -> ready    ready | delayed -> expired
-- keys   1 prefix
-- args   1 lease of the caller (never reclaimed here), or ''  2 limit of each kind  3 crash limit
-- reply  ok <now ms> <reclaimed> <promoted>
-- cost   O(limit)
local now = now_ms()
local limit = math.min(tonumber(ARGV[2]), 1000)

-- nothing above writes
local reclaimed = reclaim(now, ARGV[1], first(LEASES, 1), limit, tonumber(ARGV[3]))
local promoted = promote(now, first(DELAYED, 0), limit)
expire(now, first(EXPIRY, 0), limit)
ring_released()
return { 'ok', now, reclaimed, promoted }
