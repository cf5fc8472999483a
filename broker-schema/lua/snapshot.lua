-- snapshot: the state of a shard at one instant, for the monitor, the CLI and doctor. Reads only.
-- keys   1 prefix
-- args   1 how many queues at most  2 how many jobs of each kind at most
-- reply  <now ms> <queues> <jobs> <numbers> <stats>
--        queue: name, length of its list at priority 0..9, chunks beyond those, suspects,
--        controls: '' or flags (see control) and the notes to p, c and m, '' for none
--        job: id, then its hash as a flat list (without accumulators)
--        numbers: tasks not ended, delayed, waiting, leases, dead, open jobs, leases being emptied
-- cost   O(queues + jobs)
local QUEUES, JOBS_OPEN = prefix .. 'queues', prefix .. 'jobs:open'
local now = now_ms()
local queues, jobs = {}, {}
local CONTROLS = prefix .. 'controls'
local controlled = call('EXISTS', CONTROLS) == 1
local function controls_of(queue)
  local flags = controlled and call('HGET', CONTROLS, queue)
  if not flags then return '' end
  local why = call('HMGET', prefix .. 'controls:why', queue .. ':p', queue .. ':c', queue .. ':m')
  return { flags, why[1] or '', why[2] or '', why[3] or '' }
end
-- Those in use first, then those of which nothing was found lately (see lib/names).
local names, most, named = call('SRANDMEMBER', QUEUES, ARGV[1]), tonumber(ARGV[1]), {}
for _, queue in ipairs(names) do named[queue] = true end
for _, queue in ipairs(#names < most and call('ZRANGE', prefix .. 'queues:idle', 0, most - 1, 'REV') or {}) do
  if not named[queue] and #names < most then names[#names + 1] = queue end
end
table.sort(names)
for _, queue in ipairs(names) do
  local numbers, beyond = {}, 0
  for priority = 0, 9 do
    numbers[priority + 1] = call('LLEN', ready_key(queue, priority))
    beyond = beyond + (tonumber(call('HGET', prefix .. 'chunks', queue .. ':' .. priority)) or 0)
  end
  numbers[11] = call('LLEN', suspects_key(queue))
  -- Below zero: so many of them were cancelled.
  for i = 1, 11 do
    local cancelled = math.min(math.max(-beyond, 0), numbers[i])
    numbers[i], beyond = numbers[i] - cancelled, beyond + cancelled
  end
  local suspects = table.remove(numbers)
  queues[#queues + 1] = { queue, numbers, math.max(beyond, 0), suspects, controls_of(queue) }
end

local FIELDS = { 'state', 'spec', 'total', 'done', 'failed', 'retried', 'created', 'started', 'ended',
  'failed_task', 'failure', 'paused', 'growing' }
local function add_jobs(index)
  -- An end of -1 would mean all of them.
  if tonumber(ARGV[2]) == 0 then return end
  for _, job in ipairs(call('ZRANGE', index, 0, ARGV[2] - 1, 'REV')) do
    local values = call('HMGET', job_key(job), unpack(FIELDS))
    if values[1] then
      local flat = {}
      for i, name in ipairs(FIELDS) do
        if values[i] then
          flat[#flat + 1] = name
          flat[#flat + 1] = values[i]
        end
      end
      jobs[#jobs + 1] = { job, flat }
    end
  end
end
add_jobs(JOBS_OPEN)
add_jobs(prefix .. 'jobs:ended')

local numbers = { call('HLEN', TASKS), call('ZCARD', DELAYED), call('HLEN', prefix .. 'waiting'), call('ZCARD', LEASES),
  call('ZCARD', prefix .. 'dead'), call('ZCARD', JOBS_OPEN), call('LLEN', prefix .. 'orphans') }
return { now, queues, jobs, numbers, call('HGETALL', STATS) }
