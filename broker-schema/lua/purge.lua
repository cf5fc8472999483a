-- purge: cancel what waits in a queue, a bite at a time. A job that loses chunks ends with them.
-- from   ready, delayed                         to  cancelled
-- also   waiting, running -> cancelled (of a job that loses a chunk)
-- keys   1 prefix
-- args   1 queue  2 ready | delayed | parked:<subject>  3 cursor, from 0, of what is not ready  4 elements at most (at
--        most 1,000; of delayed ones all that are met)  5 retention of the outcomes (ms)  6 error of the outcomes, in JSON,
--        with who and why behind it as the rest of a JSON object: `{…},"by":"ada"`
-- reply  ok <now ms> <elements taken> <tasks ended> <jobs ended> <elements left> <cursor, 0: end>
--        left: of the ready ones at most so many; of the parked ones 1 if this cursor has more
-- cost   O(elements); a bite of delayed or parked ones looks at about 300, of whatever queue
local queue, where, cursor, limit, keep = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local now = now_ms()
local note = ',"error":' .. ARGV[6]
local tasks, jobs = 0, 0

-- nothing above writes

-- Whether a job that runs loses anything with an element. A chunk by itself that never left its range
-- is a second start (see speculate): the first one goes on.
local function loses(job, element)
  local _, lo, hi = range_of(element)
  if lo then return call('BITCOUNT', done_key(job), lo, hi - 1, 'BIT') < hi - lo end
  local index = string.match(element, ':(%d+)$')
  return call('GETBIT', done_key(job), index) == 0
    and (call('GETBIT', out_key(job), index) == 1 or call('HEXISTS', job_key(job), 'speculate') == 0)
end

local function cancel_job(job, element)
  if call('HGET', job_key(job), 'state') ~= 'running' or not loses(job, element) then return end
  settle().cancel_job(job, settle().cancelled_outcome(note, nil, now), now)
  jobs = jobs + 1
end

local function cancel_task(id)
  if call('HEXISTS', TASKS, id) == 0 then return end
  if call('HEXISTS', INPUTS, id) == 1 then jobs = jobs + 1 else tasks = tasks + 1 end
  settle().cancel_task(id, settle().cancelled_outcome(note, call('HGET', HISTORY, id), now), keep, now)
end

local elements, dropped, left = {}, 0, 0
local function put() end
if where == 'ready' then
  elements, dropped = shift(queue, limit, put)
  left = elements_in(queue)
elseif where == 'delayed' then
  cursor, elements, dropped = shift_delayed(queue, cursor, math.huge, put)
else
  local met
  cursor, elements, dropped, met = shift_parked(queue, string.match(where, '^parked:(.+)$'), cursor, limit, put)
  left = met and 1 or 0
end
for _, element in ipairs(elements) do
  local job = string.match(element, '^(%x+):')
  if job then cancel_job(job, element) else cancel_task(element) end
end
return { 'ok', now, #elements + dropped, tasks, jobs, left, cursor }
