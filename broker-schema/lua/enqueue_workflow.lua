-- enqueue_workflow: put a job of members that follow one another, in one part or many; safe to repeat.
-- from   nothing                     to  ready | delayed (what waits for nothing), waiting (all else)
-- keys   1 prefix
-- args   1 producer  2 batch number  3 job  4 number of this part, from 0
--        5 number of the first member it adds, or '': behind all others
--        6 how many more members the end of the job waits for  7 whether it is the last part (1/0)
--        8 barrier of a group that takes members in, or ''  9 which of those that are added it waits for: lo-hi, …
--        10 spec, or '' but in the first part; then in the first part only
--        11 retention ms  12 shape of the result  13 most members  14 most depth of spawning
--        15 unique key or ''  16 unique for ms  17 number n of queues, then n times queue, members
--        then what is added, each a tag and its values; numbers count from the first member it adds:
--        T n                                     n members, always the first tag
--        M first, n, records                     the records of members
--        S lo, hi, feeds, catch                  how members are wired (see lib/workflow)
--        B number, missing, opens, tolerates     a barrier
--        V number, shape                         a member that stands for others
--        D name, number, of how many, piece      a piece of data that members share
--        G lo-hi:priority:queue:delay            members that may begin
--        G v<number>                             a member that stands for nothing is settled; comes last
--        C number or '', when, id, queue, priority, head, tail    a callback
-- reply  ok <now ms> <duplicates: job, first job | nothing> <refused, as enqueue: all or nothing>
--        | expected <number of the part that is next> | over (it has ended, or was never begun)
-- cost   O(what is added)
local now = now_ms()
local job, part, last = ARGV[3], tonumber(ARGV[4]), ARGV[7] == '1'
local key = job_key(job)
local first_edit, unique = 11, ''
if ARGV[10] ~= '' then
  unique = ARGV[15]
  first_edit = 18 + 2 * tonumber(ARGV[17])
end
if already_done(ARGV[1], ARGV[2]) then return { 'ok', now, {}, {} } end
if part == 0 then
  if call('EXISTS', key) == 1 then return { 'ok', now, {}, {} } end
  if unique ~= '' then
    local first = call('GET', prefix .. 'unique:' .. unique)
    if first and first ~= job then return { 'ok', now, { job, first }, {} } end
  end
  if call('EXISTS', CONTROLS) == 1 then
    local refused = {}
    for i = 18, first_edit - 1, 2 do
      local queue, n = ARGV[i], tonumber(ARGV[i + 1])
      if #refused == 0 and admit(queue, n) < n then refuse(refused, 0, 1, queue) end
    end
    -- Not noted as done: if it is repeated, it is looked at again.
    if #refused > 0 then return { 'ok', now, {}, with_notes(refused) } end
  end
else
  local state, parts = unpack(call('HMGET', key, 'state', 'parts'))
  if state ~= 'running' or not parts then return { 'over' } end
  -- What was sent before under this number was answered above; this is of somebody else.
  if part ~= tonumber(parts) then return { 'expected', parts } end
end

-- nothing above writes
note_done(ARGV[1], ARGV[2], {}, {})
if part == 0 then
  if unique ~= '' then call('SET', prefix .. 'unique:' .. unique, job, 'PX', ARGV[16]) end
  call('HSET', key, 'spec', ARGV[10], 'total', 0, 'state', 'running', 'keep', ARGV[11], 'created', now, 'done', 0,
    'failed', 0, 'exit', ARGV[12], 'most', ARGV[13], 'deepest', ARGV[14], 'graph', 1)
  call('ZADD', prefix .. 'jobs:open', now, job)
  -- One more than there are: the job does not end before its last part is in.
  workflow().expect(job, 'e', 1)
end
call('HSET', key, 'parts', part + 1)
-- While more is to come it is told since when.
if not last then call('HSET', key, 'growing', now) else call('HDEL', key, 'growing') end
local base = ARGV[5] ~= '' and tonumber(ARGV[5]) or tonumber(call('HGET', key, 'total'))
workflow().expect(job, 'e', tonumber(ARGV[6]))
if ARGV[8] ~= '' then
  -- Spawned members are not among these.
  if ARGV[first_edit] == 'T' then call('HINCRBY', key, 'pushed', ARGV[first_edit + 1]) end
  workflow().join(job, ARGV[8], base, ARGV[9])
end
workflow().grow(job, base, first_edit, #ARGV, now)
if last then
  -- The barrier behind a group that takes members in waits for one more than there are, too.
  if ARGV[8] ~= '' then workflow().arrive(job, ARGV[8], 1, now) end
  workflow().arrive(job, 'e', 1, now)
end
ring_released()
return { 'ok', now, {}, {} }
