-- tidy: the upkeep that nothing waits for: dead letters that are too old or too many leave, and names of
-- queues that are not used any more.
-- keys   1 prefix
-- args   1 limit of each kind (at most 100)
-- reply  <dead letters that left> <names that became idle, or left>
-- cost   O(limit); a name takes up to five commands
local now = now_ms()
local limit = math.min(tonumber(ARGV[1]), 100)

-- nothing above writes
local dead = call('EXISTS', prefix .. 'dead') == 1 and settle().trim_dead(now, limit) or 0
return { dead, tidy_names(now, limit) }
