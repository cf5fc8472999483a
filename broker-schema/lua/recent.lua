-- recent: a page of the tasks that ended lately, the newest first. Reads only.
-- keys   1 prefix
-- args   1 state  2 entry before which the page begins, or + at first  3 time (ms) before which the search
--        ends  4 how many at most
-- reply  <now ms> <entry, what was told of it, JSON; ...>
-- cost   O(how many)
local before = ARGV[2] == '+' and '+' or '(' .. ARGV[2]
local found = {}
for _, entry in ipairs(call('XREVRANGE', prefix .. 'recent:' .. ARGV[1], before, ARGV[3], 'COUNT', ARGV[4])) do
  found[#found + 1] = entry[1]
  found[#found + 1] = entry[2][2]
end
return { now_ms(), found }
