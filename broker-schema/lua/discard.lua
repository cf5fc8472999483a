-- discard: dead letters are thrown away. What is kept of the tasks' outcomes stays.
-- keys   1 prefix
-- args   ids
-- reply  <how many there were>
-- cost   O(ids)
-- nothing above writes
local gone = 0
for i = 1, #ARGV, UNPACK do
  local last = math.min(i + UNPACK - 1, #ARGV)
  gone = gone + call('ZREM', prefix .. 'dead', unpack(ARGV, i, last))
  call('HDEL', prefix .. 'dead:tasks', unpack(ARGV, i, last))
end
return { gone }
