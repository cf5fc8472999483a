-- inspect: what is known of one task or chunk. Reads only.
-- keys   1 prefix
-- args   1 id  2 member of `delayed` if it waited for a time (<priority>:<queue>:<id>), or ''
--        3 cursor in `leases`, 0 at first, then the leases before it that are still to be looked at
-- reply  ended <outcome>                                  its outcome is kept
--        | task <where> <record> <history> <detail> <moved>   a task, or a member of a workflow, that has
--                                                         not ended
--        | chunk <where> <job spec> <history> <detail> <moved>   a chunk of a job that is kept
--        | unknown                                        never enqueued, or nothing was kept
--        | searching <where to go on>                     not in the leases looked at: ask again
--                                                         with these as args from 3 on
--        where: waiting, delayed (detail: due ms), running (detail: lease and in-flight value),
--        queued (ready, or delayed under another member), and for chunks also succeeded, failed,
--        cancelled
--        moved: the queue to which it was moved (of a job: where chunks of it were moved last), or ''
--        history: of a chunk with the lost runs that it was in
-- cost   O(leases) in pages of about 100, for a chunk also O(what they hold) in bites of about 1,000, and
--        O(lost runs of its job), at most 200
local id = ARGV[1]
local LEASES_PAGE = 100
local HELD_BITE = 1000
local outcome = call('GET', RESULT .. id)
if outcome then return { 'ended', outcome } end

local function due(member)
  if member == '' then return nil end
  local queue = call('HGET', prefix .. 'moved', id)
  if queue then member = string.sub(member, 1, 2) .. queue .. ':' .. id end
  return call('ZSCORE', DELAYED, member)
end

-- What a lease holds of it: `id` itself, or a run that contains chunk `index` of `job` and from
-- which the chunk has not gone.
local function held_by(lease, job, index)
  local key = inflight_key(lease)
  local value = call('HGET', key, id)
  if value or not job or call('GETBIT', out_key(job), index) == 1 then return value end
  local cursor = '0'
  repeat
    local page = call('HSCAN', key, cursor, 'MATCH', job .. ':*', 'COUNT', HELD_BITE)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      local of, lo, hi = range_of(page[2][i])
      if of and lo <= index and index < hi and not is_handed_back(page[2][i + 1], index) then return page[2][i + 1] end
    end
  until cursor == '0'
end

-- The lease that holds it, with the value in flight; or nil and, if not all leases were looked at,
-- where to go on. The cursor is one of `ZSCAN`, so that renewals, which reorder them, hide none.
local function holder(job, index)
  local cursor, leases, left = ARGV[3], {}, HELD_BITE
  for i = 4, #ARGV do leases[i - 3] = ARGV[i] end
  if #leases == 0 then
    local page = call('ZSCAN', LEASES, cursor, 'COUNT', LEASES_PAGE)
    cursor = page[1]
    for i = 1, #page[2], 2 do leases[#leases + 1] = page[2][i] end
  end
  for n, lease in ipairs(leases) do
    if left <= 0 then return nil, { cursor, unpack(leases, n) } end
    local value = held_by(lease, job, index)
    if value then return lease .. ' ' .. value end
    if job then left = left - call('HLEN', inflight_key(lease)) end
  end
  if cursor ~= '0' then return nil, { cursor } end
end

local function where(job, index)
  local at = due(ARGV[2])
  if at then return 'delayed', at end
  local by, rest = holder(job, index)
  if by then return 'running', by end
  if rest then return 'searching', rest end
  return 'queued', ''
end

local record = call('HGET', TASKS, id)
if record then
  local history, moved = call('HGET', HISTORY, id) or '', call('HGET', prefix .. 'moved', id) or ''
  if call('HEXISTS', prefix .. 'waiting', id) == 1 then return { 'task', 'waiting', record, history, '', moved } end
  local state, detail = where()
  if state == 'searching' then return { state, detail } end
  return { 'task', state, record, history, detail, moved }
end

local job, number = string.match(id, '^(%x+):(%d+)$')
if not job then return { 'unknown' } end
local spec, total, state, failed, at = unpack(call('HMGET', job_key(job), 'spec', 'total', 'state', 'failed_task', 'place'))
local index = tonumber(number)
if not spec or index >= tonumber(total) then return { 'unknown' } end
local graph = call('HGET', job_key(job), 'graph')
local history = losses().with(call('HGET', job_history_key(job), number), job, index) or ''
local moved = string.match(at or '', '^%d:(.+)$') or ''
local own = graph and call('HGET', job_key(job) .. ':members', number)
if own and state == 'running' then
  if call('GETBIT', job_key(job) .. ':begun', index) == 0 then return { 'task', 'waiting', own, history, '', '' } end
  local place, detail = where(job, index)
  if place == 'searching' then return { place, detail } end
  return { 'task', place, own, history, detail, moved }
end
local value = graph and call('HGET', job_key(job) .. ':results', number)
if value and string.sub(value, 1, 1) == '!' then
  return { 'chunk', 'failed', spec, history, string.sub(value, 2), moved }
end
if failed == id then return { 'chunk', 'failed', spec, history, call('HGET', job_key(job), 'failure'), moved } end
if call('GETBIT', done_key(job), index) == 1 then return { 'chunk', 'succeeded', spec, history, '', moved } end
if state ~= 'running' then return { 'chunk', 'cancelled', spec, history, '', moved } end
local place, detail = where(job, index)
if place == 'searching' then return { place, detail } end
return { 'chunk', place, spec, history, detail, moved }
