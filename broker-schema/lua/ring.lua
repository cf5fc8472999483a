-- ring: pass a bell token on: its taker has no free slot.
-- keys   1 prefix
-- args   the queues
-- reply  ok
-- cost   O(queues)
-- nothing above writes
for i = 1, #ARGV do ring(ARGV[i], true) end
return { 'ok' }
