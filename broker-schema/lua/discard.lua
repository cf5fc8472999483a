-- discard: dead letters are thrown away. What is kept of the tasks' outcomes stays.
-- keys   1 prefix
-- args   ids
-- reply  <for each: 1 if it was there, or 0>
-- cost   O(ids)
-- nothing above writes
local gone = {}
for i, id in ipairs(ARGV) do gone[i] = call('ZREM', prefix .. 'dead', id) end
for i = 1, #ARGV, UNPACK do
  call('HDEL', prefix .. 'dead:tasks', unpack(ARGV, i, math.min(i + UNPACK - 1, #ARGV)))
end
return gone
