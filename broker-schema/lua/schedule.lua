-- schedule: change one schedule, if it is still the one that the caller saw.
-- keys   1 prefix
-- args   1 what: put, remove, pause, resume, skip  2 name
--        3 revision that the caller saw; 0: it must not exist yet; '': whatever it is
--        put     4 spec  5 next time due (ms), '' for never, keep: as it is  6 queue of its task
--        pause   4 by whom  5 why
--        resume  4 next time due (ms) or ''  5 queue of its task
--        skip    4 time due (ms) that is skipped  5 next time due (ms) or ''
-- reply  ok <now ms> <revision> | conflict <now ms> <revision, 0: there is none> | missing | full
--        A paused schedule that is put stays paused.
-- cost   O(log schedules)
local MOST = 10000
local what, name, seen = ARGV[1], ARGV[2], ARGV[3]
local now = now_ms()
local key = schedule_key(name)
local revision = call('HGET', key, 'revision')
if what ~= 'put' and not revision then return { 'missing' } end
if seen ~= '' and seen ~= (revision or '0') then return { 'conflict', now, revision or 0 } end
if what == 'put' and not revision and call('ZCARD', SCHEDULES) >= MOST then return { 'full' } end
if what == 'skip' and tonumber(call('ZSCORE', SCHEDULES_DUE, name)) ~= tonumber(ARGV[4]) then
  return { 'conflict', now, revision }
end

-- nothing above writes
-- A bell wakes an idle worker, which hears with its next claim when a schedule is due.
if what == 'remove' then
  call('DEL', key)
  call('ZREM', SCHEDULES, name)
  call('ZREM', SCHEDULES_DUE, name)
  return { 'ok', now, revision }
elseif what == 'put' then
  call('HSETNX', key, 'created', now)
  call('HSET', key, 'spec', ARGV[4], 'changed', now)
  call('ZADD', SCHEDULES, 0, name)
  if ARGV[5] ~= 'keep' and call('HEXISTS', key, 'paused_at') == 0 then set_due(name, ARGV[5]) end
  ring(ARGV[6], true)
elseif what == 'pause' then
  call('HSET', key, 'paused_at', now, 'paused_by', ARGV[4], 'paused_why', ARGV[5])
  call('ZREM', SCHEDULES_DUE, name)
elseif what == 'resume' then
  call('HDEL', key, 'paused_at', 'paused_by', 'paused_why')
  set_due(name, ARGV[4])
  ring(ARGV[5], true)
else
  set_due(name, ARGV[5])
end
return { 'ok', now, call('HINCRBY', key, 'revision', 1) }
