-- cancel: end tasks and jobs that nobody wants any more; what runs is flagged, and its worker told.
-- from   waiting | delayed | ready             to  cancelled
-- also   running -> running: the flag is told with each renewal of the lease (and by a message at
--        once, as a hint), and whatever settles the task removes it. Retry, release and the loss of
--        the worker end a flagged task as cancelled.
-- keys   1 prefix
-- args   1 who and why: '' or the rest of a JSON object, as `,"by":"ada"`
--        then for each: id, and of its record priority, queue, retention of its outcome (ms)
-- reply  ok <now ms> <word, lease or ''>*
--        cancelled: it has ended. told: the lease holds it. ended: before. unknown: never enqueued, or
--        its outcome was not kept. Fewer than asked for: ask for the rest again.
-- cost   O(ids * leases), at most 4,000 look-ups if one id needs no more
local LOOK_UPS = 4000
local CANCELS, TOMBSTONES = prefix .. 'cancels', prefix .. 'tombstones'
local note, now, found = ARGV[1], now_ms(), {}
local leases, orphans = call('ZRANGE', LEASES, 0, -1), call('LRANGE', prefix .. 'orphans', 0, -1)

local function key_that_holds(id, names, key_of)
  for _, name in ipairs(names) do
    if call('HEXISTS', key_of(name), id) == 1 then return name end
  end
end

local function orphan_key(lease) return prefix .. 'orphan:' .. lease end

-- nothing above writes; every id is independent of the others
local function flag(id, lease, keep)
  call('HSETNX', CANCELS, id, '{"at":' .. now .. ',"keep":' .. keep .. note .. '}')
  call('PUBLISH', prefix .. 'told:' .. lease, 'cancel')
  return 'told', lease
end

-- Its element stays in its list, where nobody looks for it, and is dropped when it is met.
local function leave_tombstone(id, priority, queue)
  call('HSET', TOMBSTONES, id, queue .. ':' .. priority)
  count_chunks(queue, priority, -1)
end

-- Where it is: its record tells where it was enqueued, its lock and `moved` know better.
local function place_of(id, priority, queue)
  local lock = call('HGET', prefix .. 'locks', id)
  if lock then
    local _, _, its_priority, its_queue = locks().parse(lock)
    return its_priority, its_queue
  end
  return priority, call('HGET', prefix .. 'moved', id) or queue
end

local function cancel_task(id, priority, queue, keep)
  local lease = key_that_holds(id, leases, inflight_key)
  if lease then return flag(id, lease, keep) end
  priority, queue = place_of(id, priority, queue)
  -- What waits for another task is in no list.
  if call('ZREM', DELAYED, priority .. ':' .. queue .. ':' .. id) == 0
    and call('HEXISTS', prefix .. 'waiting', id) == 0
    and not key_that_holds(id, orphans, orphan_key) then
    leave_tombstone(id, priority, queue)
  end
  local text = call('HGET', HISTORY, id)
  settle().cancel_task(id, settle().cancelled_outcome(note, text, now), keep, now)
  return 'cancelled', ''
end

local function cancel_job(job)
  settle().cancel_job(job, settle().cancelled_outcome(note, nil, now), now)
  return 'cancelled', ''
end

local function cancel(id, priority, queue, keep)
  local state = call('HGET', job_key(id), 'state')
  if state == 'running' then return cancel_job(id) end
  if call('HEXISTS', TASKS, id) == 1 then return cancel_task(id, priority, queue, keep) end
  if state or call('EXISTS', RESULT .. id) == 1 then return 'ended', '' end
  return 'unknown', ''
end

local most = math.max(math.floor(LOOK_UPS / math.max(#leases + #orphans, 1)), 1)
for i = 2, math.min(#ARGV, 1 + 4 * most), 4 do
  found[#found + 1], found[#found + 2] = cancel(unpack(ARGV, i, i + 3))
end
return { 'ok', now, found }
