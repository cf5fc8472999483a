-- fire: enqueue what a schedule is due for and set when it is due again, in one step: of all that
-- look at it, one fires it, and a call that is repeated finds it moved on.
-- from   nothing                                to  ready
-- keys   1 prefix
-- args   1 name  2 revision that the caller saw  3 time due (ms) that the caller saw; '': run it
--        now, and leave the time that it is due as it is
--        4 next time due (ms) or '' for never  5 runs that were missed  6 1: none while the last
--        one has not ended  7 queue  8 priority  9 expires after ms or ''  then (id, record)*
-- reply  fired <now ms> <tasks> | overlapped <now ms> <last task> | early <now ms> | moved <now ms>
--        | refused <now ms> <closed | full>
--        moved: it was fired, changed, paused or removed meanwhile. early: not due by Redis time.
--        Nothing is done then. overlapped, refused (its queue takes none, see control): it is
--        set to its next time, and nothing is enqueued. Of several as many as fit are enqueued, and
--        the others counted as refused.
-- cost   O(tasks)
local name, seen, queue, priority = ARGV[1], ARGV[3], ARGV[7], ARGV[8]
local now = now_ms()
local key = schedule_key(name)
local revision, last = unpack(call('HMGET', key, 'revision', 'last_task'))
if not revision or revision ~= ARGV[2] then return { 'moved', now } end
if seen ~= '' then
  local due = tonumber(call('ZSCORE', SCHEDULES_DUE, name))
  if due ~= tonumber(seen) then return { 'moved', now } end
  if due > now then return { 'early', now } end
end
local overlaps = ARGV[6] == '1' and last and call('HEXISTS', TASKS, last) == 1
local ids = {}
for i = 10, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local fits = #ids
if not overlaps and fits > 0 and call('EXISTS', CONTROLS) == 1 then fits = admit(queue, fits) end

-- nothing above writes
if seen ~= '' then
  set_due(name, ARGV[4])
  if ARGV[5] ~= '0' then call('HINCRBY', key, 'missed', ARGV[5]) end
end
if overlaps then
  call('HINCRBY', key, 'overlapped', 1)
  return { 'overlapped', now, last }
end
if #ids == 0 then return { 'fired', now, 0 } end
if fits < #ids then
  local why = room_of(queue).word
  call('HINCRBY', key, 'refused', #ids - fits)
  call('HSET', key, 'refused_at', now, 'refused_why', why)
  if fits == 0 then return { 'refused', now, why } end
end
for i = 1, fits do
  local id, record = ids[i], ARGV[9 + 2 * i]
  call('HSET', TASKS, id, record)
  if ARGV[9] ~= '' then call('ZADD', EXPIRY, now + ARGV[9], id) end
  push_back(queue, priority, id, record)
end
call('HINCRBY', STATS, 'enqueued', fits)
call('SADD', prefix .. 'queues', queue)
call('HINCRBY', key, 'runs', fits)
call('HSET', key, 'last_task', ids[fits], 'last_at', now)
if seen ~= '' then call('HSET', key, 'last_due', seen) end
ring(queue)
return { 'fired', now, fits }
