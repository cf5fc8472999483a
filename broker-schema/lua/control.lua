-- control: pause, resume, close, open, limit or unlimit a queue, and note who did so, when and why.
-- keys   1 prefix
-- args   1 queue  2 pause | resume | close | open | limit | unlimit  3 limit (tasks) or ''
--        4 note: a JSON object that is not empty
-- reply  changed <now ms> | unchanged <now ms>
--        unchanged: it was so before; the note of whoever did it stays
-- cost   O(1)
local CONTROLS, WHY = prefix .. 'controls', prefix .. 'controls:why'
-- The part of a queue's flags that each verb sets or takes away. `take` and `enqueue` read them.
local PARTS = { pause = 'p', resume = 'p', close = 'c', open = 'c', limit = 'm', unlimit = 'm' }
local SETS = { pause = 'p', close = 'c', limit = 'm' .. ARGV[3] }
local queue, verb = ARGV[1], ARGV[2]
local part, value = PARTS[verb], SETS[verb]
local now = now_ms()
local flags = call('HGET', CONTROLS, queue) or ''
local set = { p = string.match(flags, 'p'), c = string.match(flags, 'c'), m = string.match(flags, 'm%d+') }
if set[part] == value then return { 'unchanged', now } end

-- nothing above writes
set[part] = value
flags = (set.p or '') .. (set.c or '') .. (set.m or '')
if flags == '' then call('HDEL', CONTROLS, queue) else call('HSET', CONTROLS, queue, flags) end
local field = queue .. ':' .. part
if value then
  call('HSET', WHY, field, '{"at":' .. now .. ',' .. string.sub(ARGV[4], 2))
  -- Also a queue that was never used is shown from now on.
  call('SADD', prefix .. 'queues', queue)
else
  call('HDEL', WHY, field)
end
if verb == 'resume' then ring(queue) end
return { 'changed', now }
