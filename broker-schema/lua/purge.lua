-- purge: cancel what waits in a queue, a bite at a time. A job that loses chunks ends with them.
-- from   ready, delayed                         to  cancelled
-- also   waiting, running -> cancelled (of a job that loses a chunk)
-- keys   1 prefix
-- args   1 queue  2 ready | delayed  3 cursor of the delayed ones, from 0  4 elements at most (at
--        most 1,000; of delayed ones all that are met)  5 retention of the outcomes (ms)  6 error of the outcomes, in JSON
-- reply  ok <now ms> <elements taken> <tasks ended> <jobs ended> <elements left> <cursor, 0: end>
--        left: in the lists; what is delayed is not counted
-- cost   O(elements); a bite of delayed ones looks at about 300, of whatever queue
local queue, where, cursor, limit, keep = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local now = now_ms()
local outcome = '{"v":1,"state":"cancelled","error":' .. ARGV[6] .. ',"ended":' .. now .. '}'
local tasks, jobs = 0, 0

-- nothing above writes

-- What a job still has elsewhere is dropped when it is met, as after a failure.
local function cancel_job(job)
  local key = job_key(job)
  local state, own_keep = unpack(call('HMGET', key, 'state', 'keep'))
  if state ~= 'running' and state ~= 'reducing' then return end
  own_keep = own_keep or KEEP_MS
  settle().end_job(job, 'cancelled', now, own_keep)
  call('HDEL', TASKS, job)
  settle().forget({ job })
  call('HDEL', prefix .. 'waiting', job)
  call('HDEL', INPUTS, job)
  settle().keep_outcome(job, outcome, own_keep)
  settle().tell_watchers({ job })
  jobs = jobs + 1
end

local function cancel_tasks(ids)
  if #ids == 0 then return end
  local ended, reduces = {}, call('HMGET', INPUTS, unpack(ids))
  for i, record in ipairs(call('HMGET', TASKS, unpack(ids))) do
    if record and reduces[i] then
      cancel_job(ids[i])
    elseif record then
      ended[#ended + 1] = ids[i]
      settle().keep_outcome(ids[i], outcome, keep)
    end
  end
  if #ended == 0 then return end
  call('HDEL', TASKS, unpack(ended))
  call('ZREM', EXPIRY, unpack(ended))
  settle().forget(ended)
  settle().tell_watchers(ended)
  tasks = tasks + #ended
end

local function cancel_all(elements)
  local ids = {}
  for _, element in ipairs(elements) do
    local job = string.match(element, '^(%x+):')
    if job then cancel_job(job) else ids[#ids + 1] = element end
  end
  cancel_tasks(ids)
  if tasks + jobs > 0 then call('HINCRBY', STATS, 'cancelled', tasks + jobs) end
end

local elements, left = {}, 0
if where == 'ready' then
  elements = shift(queue, limit, function() end)
  left = elements_in(queue)
else
  cursor, elements = shift_delayed(queue, cursor, math.huge, function() end)
end
cancel_all(elements)
return { 'ok', now, #elements, tasks, jobs, left, cursor }
