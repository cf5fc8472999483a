-- oldest: what stands in front in each list of some queues. Reads only.
-- keys   1 prefix
-- args   names of queues
-- reply  <now ms> <of each queue: its tasks (or chunks, or ranges) in front, with those in front of turns>
-- cost   O(queues)
local heads = {}
for i, queue in ipairs(ARGV) do
  local found = {}
  for priority = 9, 0, -1 do
    local element = call('LINDEX', ready_key(queue, priority), 0)
    local tenant = element and string.match(element, '^@(.+)$')
    if tenant then element = call('LINDEX', turn_key(queue, priority, tenant), 0) end
    if element then found[#found + 1] = element end
  end
  local suspect = call('LINDEX', suspects_key(queue), 0)
  if suspect then found[#found + 1] = string.match(suspect, '^%d:(.+)$') end
  heads[i] = found
end
return { now_ms(), heads }
