-- delayed: a page of what waits for a time, in all queues, the earliest first. Reads only.
-- keys   1 prefix
-- args   1 limit (at most 500)  2 due (ms) and 3 member of the last one of the page before, '' and '' for
--        the first page
-- reply  <now ms> <how many there are> <member, due ms; ...>
-- cost   O(limit + log² delayed)
local total = call('ZCARD', DELAYED)

-- How many stand before the first one that comes after the cursor. It is searched for, because the
-- one that the cursor names may have left.
local function rank_after(due, member)
  local lo, hi = 0, total
  while lo < hi do
    local mid = math.floor((lo + hi) / 2)
    local there = call('ZRANGE', DELAYED, mid, mid, 'WITHSCORES')
    local at = tonumber(there[2])
    if at > due or (at == due and there[1] > member) then hi = mid else lo = mid + 1 end
  end
  return lo
end

local rank = ARGV[2] == '' and 0 or rank_after(tonumber(ARGV[2]), ARGV[3])
return { now_ms(), total, call('ZRANGE', DELAYED, rank, rank + math.min(tonumber(ARGV[1]), 500) - 1, 'WITHSCORES') }
