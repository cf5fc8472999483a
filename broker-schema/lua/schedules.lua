-- schedules: a page of all schedules in the order of their names, or one of them. Reads only.
-- keys   1 prefix
-- args   1 name, or '' for a page  2 offset  3 how many at most, up to 200
-- reply  <now ms> <number of schedules> <for each: name, next time due (ms) or 0, 1 if its last
--        task has not ended, its hash as a flat list>
-- cost   O(schedules asked for)
local now = now_ms()
local names, found = {}, {}
if ARGV[1] ~= '' then
  names = { ARGV[1] }
else
  local most = math.min(tonumber(ARGV[3]), 200)
  -- An end of -1 would mean all of them.
  if most > 0 then names = call('ZRANGE', SCHEDULES, ARGV[2], ARGV[2] + most - 1) end
end
for _, name in ipairs(names) do
  local hash = call('HGETALL', schedule_key(name))
  if #hash > 0 then
    local last = call('HGET', schedule_key(name), 'last_task')
    found[#found + 1] = name
    found[#found + 1] = call('ZSCORE', SCHEDULES_DUE, name) or 0
    found[#found + 1] = last and call('HEXISTS', TASKS, last) or 0
    found[#found + 1] = hash
  end
end
return { now, call('ZCARD', SCHEDULES), found }
