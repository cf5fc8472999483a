-- inspect: what is known of one task or chunk. Reads only.
-- keys   1 prefix
-- args   1 id  2 member of `delayed` if it waited for a time (<priority>:<queue>:<id>), or ''
-- reply  ended <outcome>                                  its outcome is kept
--        | task <where> <record> <history> <detail>       a task that has not ended
--        | chunk <where> <job spec> <history> <detail>    a chunk of a job that is kept
--        | unknown                                        never enqueued, or nothing was kept
--        where: waiting, delayed (detail: due ms), running (detail: lease and in-flight value),
--        queued (ready, or delayed under another member), and for chunks also succeeded, failed,
--        cancelled
-- cost   O(leases + chunks in flight), at most 1,000 leases
local id = ARGV[1]
local outcome = call('GET', RESULT .. id)
if outcome then return { 'ended', outcome } end

local function due(member)
  if member == '' then return nil end
  return call('ZSCORE', DELAYED, member)
end

-- The lease that holds `id` itself, or a run that contains chunk `index` of `job` (and from which
-- the chunk has not gone).
local function holder(job, index)
  for _, lease in ipairs(call('ZRANGE', LEASES, 0, 999)) do
    local value = call('HGET', inflight_key(lease), id)
    if value then return lease .. ' ' .. value end
    if job then
      for _, field in ipairs(call('HKEYS', inflight_key(lease))) do
        local of, lo, hi = range_of(field)
        if of == job and lo <= index and index < hi and call('GETBIT', out_key(job), index) == 0 then
          local run = call('HGET', inflight_key(lease), field)
          if not is_handed_back(run, index) then return lease .. ' ' .. run end
        end
      end
    end
  end
end

local function where(job, index)
  local at = due(ARGV[2])
  if at then return 'delayed', at end
  local by = holder(job, index)
  if by then return 'running', by end
  return 'queued', ''
end

local record = call('HGET', TASKS, id)
if record then
  local history = call('HGET', HISTORY, id) or ''
  if call('HEXISTS', prefix .. 'waiting', id) == 1 then return { 'task', 'waiting', record, history, '' } end
  local state, detail = where()
  return { 'task', state, record, history, detail }
end

local job, number = string.match(id, '^(%x+):(%d+)$')
if not job then return { 'unknown' } end
local spec, total, state, failed = unpack(call('HMGET', job_key(job), 'spec', 'total', 'state', 'failed_task'))
local index = tonumber(number)
if not spec or index >= tonumber(total) then return { 'unknown' } end
local history = call('HGET', job_history_key(job), number) or ''
if failed == id then return { 'chunk', 'failed', spec, history, call('HGET', job_key(job), 'failure') } end
if call('GETBIT', done_key(job), index) == 1 then return { 'chunk', 'succeeded', spec, history, '' } end
if state ~= 'running' then return { 'chunk', 'cancelled', spec, history, '' } end
local place, detail = where(job, index)
return { 'chunk', place, spec, history, detail }
