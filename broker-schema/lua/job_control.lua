-- job_control: pause or resume a job: while it is paused, nothing more of it is given to workers.
-- What they hold goes on. What is claimed meanwhile is kept back beside the job (see take), and goes back
-- to its lists, a bite at a time, when the job is resumed.
-- keys   1 prefix
-- args   1 job  2 pause | resume  3 note: a JSON object that is not empty  4 most elements of one bite (1,000)
-- reply  changed <now ms> <left> | unchanged <now ms> 0 | over <now ms> 0 (it has ended) | unknown <now ms> 0
--        left: so many elements are kept back still; resume again
-- cost   O(elements of the bite)
local job, verb = ARGV[1], ARGV[2]
local key, parked = job_key(job), job_key(job) .. ':parked'
local now = now_ms()
local state, paused = unpack(call('HMGET', key, 'state', 'paused'))
if not state then return { 'unknown', now, 0 } end
if state ~= 'running' then return { 'over', now, 0 } end

-- nothing above writes
if verb == 'pause' then
  if paused then return { 'unchanged', now, 0 } end
  call('HSET', key, 'paused', '{"at":' .. now .. ',' .. string.sub(ARGV[3], 2))
  return { 'changed', now, 0 }
end

-- What lost its worker too often goes to the suspects, where it was.
local function crashes_of(element)
  local _, _, _, crashes = range_of(element)
  if crashes then return crashes end
  local text = call('HGET', job_history_key(job), string.match(element, ':(%d+)$'))
  return tonumber(string.match(text or '', '^%d+ (%d+)')) or 0
end

local elements = call('LPOP', parked, math.min(tonumber(ARGV[4]), 1000)) or {}
if not paused and #elements == 0 then return { 'unchanged', now, 0 } end
call('HDEL', key, 'paused')
local queues = {}
for _, entry in ipairs(elements) do
  local priority, queue, element = string.match(entry, '^(%d):([^:]+):(.+)$')
  if crashes_of(element) >= 2 then
    call('RPUSH', suspects_key(queue), priority .. ':' .. element)
  else
    call('RPUSH', ready_key(queue, priority), element)
    count_chunks(queue, priority, extra_chunks(element))
  end
  queues[queue] = true
end
for queue in pairs(queues) do ring(queue) end
return { 'changed', now, call('LLEN', parked) }
