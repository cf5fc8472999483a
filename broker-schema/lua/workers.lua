-- workers: the workers of a namespace, each with its last description. Reads only.
-- keys   1 prefix of the namespace
-- args   1 offset  2 how many at most
-- reply  <now ms> <number of workers> <for each: lease, description, time of expiry (ms)>
-- cost   O(workers asked for)
local t = call('TIME')
local found, page = {}, {}
-- An end of -1 would mean all of them.
if tonumber(ARGV[2]) > 0 then
  page = call('ZRANGE', WORKERS, ARGV[1], ARGV[1] + ARGV[2] - 1, 'WITHSCORES')
end
for i = 1, #page, 2 do
  local description = call('GET', worker_key(page[i]))
  if description then
    found[#found + 1], found[#found + 2], found[#found + 3] = page[i], description, page[i + 1]
  end
end
return { t[1] * 1000 + math.floor(t[2] / 1000), call('ZCARD', WORKERS), found }
