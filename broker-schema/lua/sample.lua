-- sample: tasks that have not ended, picked at random, each at most once. Reads only.
-- keys   1 prefix
-- args   1 how many at most, up to 1000
-- reply  <ids>
-- cost   O(asked for)
return call('HRANDFIELD', TASKS, math.min(tonumber(ARGV[1]), 1000))
