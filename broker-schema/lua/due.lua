-- due: the schedules that are due, and when the next one will be. One worker watches that moment;
-- the others come a little later, in case that one is gone by then.
-- keys   1 prefix
-- args   1 lease of the caller  2 how many at most, up to 100
-- reply  <now ms> <next time due (ms), 0: none> <watching 1/0>
--        <for each that is due: name, time due (ms), revision, spec>
--        The next time is in the past as long as there are more that are due.
-- cost   O(due)
local lease = ARGV[1]
local now = now_ms()
local due, found = {}, {}
-- Most of the time there is none, and nothing else to ask.
local head = call('ZRANGE', SCHEDULES_DUE, 0, 0, 'WITHSCORES')
if not head[1] then return { now, 0, 0, found } end
local at = tonumber(head[2])
if at <= now then
  local most = math.min(tonumber(ARGV[2]), 100)
  due = call('ZRANGE', SCHEDULES_DUE, '-inf', now, 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
end
for i = 1, #due, 2 do
  local revision, spec = unpack(call('HMGET', schedule_key(due[i]), 'revision', 'spec'))
  if spec then
    found[#found + 1], found[#found + 2], found[#found + 3], found[#found + 4] = due[i], due[i + 1], revision, spec
  end
end

-- nothing above writes
local watch = prefix .. 'watch:schedules'
local watched, by = string.match(call('GET', watch) or '', '^(%d+):(.+)$')
if by and by ~= lease and tonumber(watched) <= at then return { now, head[2], 0, found } end
call('SET', watch, string.format('%.0f', at) .. ':' .. lease, 'PXAT', string.format('%.0f', math.max(at, now) + 50))
return { now, head[2], 1, found }
