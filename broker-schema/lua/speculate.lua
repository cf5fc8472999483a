-- speculate: start chunks a second time that run far longer than those before them, in jobs that
-- allow it; and tell which of the caller's chunks need not be finished.
-- from   running                                to  running (and ready, once more)
-- keys   1 prefix
-- args   1 most chunks to start  2 how long (ms) a chunk must run at least, then ids of chunks
-- reply  <open jobs of this kind> <chunks started> <ids that are settled, or whose job is over>
-- cost   O(ids + chunks started), at most 10 jobs
-- A mean says little before so many chunks are done.
local LEAST_DONE = 3
local now = now_ms()
local JOBS = prefix .. 'jobs:speculate'
local over = {}
for i = 3, #ARGV do
  local job, index = string.match(ARGV[i], '^(%x+):(%d+)$')
  local open = job and call('HGET', job_key(job), 'state') == 'running' and call('GETBIT', done_key(job), index) == 0
  if not open then over[#over + 1] = ARGV[i] end
end

-- nothing above writes
local room, started = tonumber(ARGV[1]), 0
local function start_late(job)
  local percent, took, done, place = unpack(call('HMGET', job_key(job), 'speculate', 'took', 'done', 'place'))
  if not took or tonumber(done) < LEAST_DONE then return end
  local late = now - math.max(percent / 100 * took / done, tonumber(ARGV[2]))
  local priority, queue = string.match(place, '^(%d):(.+)$')
  for _, index in ipairs(call('ZRANGEBYSCORE', job_running_key(job), '-inf', late, 'LIMIT', 0, room - started)) do
    -- Not a third time.
    call('ZREM', job_running_key(job), index)
    if call('GETBIT', done_key(job), index) == 0 then
      push_front(queue, priority, job .. ':' .. index)
      call('HINCRBY', job_key(job), 'started_twice', 1)
      ring(queue)
      started = started + 1
    end
  end
end

if room > 0 then
  for _, job in ipairs(call('SRANDMEMBER', JOBS, 10)) do
    if started < room then start_late(job) end
  end
end
return { call('SCARD', JOBS), started, over }
