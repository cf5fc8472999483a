-- explain: what stands around one task, chunk or job: what is before it, what keeps it back, until
-- when its lease and its outcome live. Reads only; where it is itself tells `inspect`.
-- keys   1 prefix
-- args   1 id  2 queue it waits in or goes to, or ''  3 its priority there  4 1: it is ready there
--        5 lease that holds it, or ''  6 name of its task  7 its tenant, or ''
-- reply  <now ms> <facts: name, value, …; those that do not apply are missing>
--        ahead        tasks and chunks before it in its ready list; of a job: before its first element
--        beyond       1: it is not among the first 1,000 elements of that list, `ahead` counts those
--        higher       tasks and chunks ready in the same queue at higher priorities
--        suspect      how many suspects of the queue are before it: it is one of them
--        turn         it stands behind the turn of its tenant, with so many before it
--        turn_beyond  1: it is not among the first 1,000 there, `turn` counts those
--        turns        elements of the ready list before that turn, if that is among the first 1,000
--        moved        the queue in which it is instead, to which it was moved
--        paused       its queue is paused: who said so, when and why, JSON
--        limit:<subject>  a limit that lets nothing go, or under which it (or the turn of its tenant) is
--                     parked: <held> <most, 0: any> <when its rate lets the next go (ms), 0: not known>
--                     <parked: how many are before it there, else ''>
--        cancel       its worker is told to stop it: who wants that, when and why, JSON
--        follows      the task after whose end it begins
--        expiry       when it will not be started any more (ms)
--        lease_until  deadline of the lease (ms)
--        orphan       the lost lease out of which it is being put back
--        kept_ms      for how many milliseconds its outcome is still kept
--        dead         1: it is among the dead tasks
-- cost   O(log N), and when it is ready O(1,000 elements) for each list that it may be in, at most six
local id, queue, priority, ready, lease, name, tenant = unpack(ARGV)
local LOOK = 1000
local facts, seen = {}, {}

local function fact(name, value)
  if not value then return end
  seen[name] = true
  facts[#facts + 1] = name
  facts[#facts + 1] = value
end

-- Whether an element is the task or the chunk, or a range with chunks of it; and how many chunks of
-- the element are before it.
local job, number = string.match(id, '^(%x+):(%d+)$')
local index = tonumber(number)
local root = (job or id) .. ':'
local function is_it(element)
  if element == id then return 0 end
  if string.sub(element, 1, #root) ~= root then return nil end
  -- A job is where its first element is.
  if not job then return 0 end
  local _, lo, hi = range_of(element)
  if lo and lo <= index and index < hi then return index - lo end
end

-- Behind the turn of its tenant, which is in the ready list (or parked).
local function look_behind_turn(elements)
  local list = turn_key(queue, priority, tenant)
  local waiting = call('LRANGE', list, 0, LOOK - 1)
  local ahead
  for n, element in ipairs(waiting) do
    if element == id then ahead = n - 1 end
  end
  if not ahead and call('LLEN', list) > LOOK then
    ahead = LOOK
    fact('turn_beyond', '1')
  end
  if not ahead then return false end
  fact('turn', ahead)
  for n, element in ipairs(elements) do
    if element == '@' .. tenant then fact('turns', n - 1) end
  end
  return true
end

local function look_into(list)
  local ahead, elements = 0, call('LRANGE', list, 0, LOOK - 1)
  for _, element in ipairs(elements) do
    local before = is_it(element)
    if before then return fact('ahead', ahead + before) end
    ahead = ahead + 1 + extra_chunks(element)
  end
  if tenant ~= '' and look_behind_turn(elements) then return end
  if call('LLEN', list) > LOOK then
    fact('ahead', ahead)
    fact('beyond', '1')
  end
end

-- How many are before it (or before the turn of its tenant) of what a subject has parked; nil if it
-- is not there.
local function place_among_parked(subject)
  local key, place = prefix .. 'parked:' .. subject, ' ' .. priority .. ' ' .. queue
  local turn = '@' .. tenant .. place
  for n, member in ipairs(call('ZRANGE', key, 0, LOOK - 1)) do
    if is_it(string.match(member, '^%S+')) or (tenant ~= '' and member == turn) then return n - 1 end
  end
  if call('ZSCORE', key, id .. place) then return LOOK end
end

local parked = false
-- Its record names the queue into which it was put; somebody may have moved it since then. Of a job
-- it is known where a part of it went the last time, and that part may be another one.
local function look_elsewhere()
  local to = call('HGET', prefix .. 'moved', id)
  local here = seen.suspect or seen.turn or parked or (seen.ahead and not seen.beyond)
  if not to and not here then
    local state, place = unpack(call('HMGET', job_key(job or id), 'state', 'place'))
    to = state == 'running' and string.match(place or '', '^%d:(.+)$')
  end
  if to ~= queue then fact('moved', to) end
end

local function look_at_limit(subject)
  local g, before = gate().gauge(subject), place_among_parked(subject)
  parked = parked or before ~= nil
  if not before and not (g and gate().room(g) < 1) then return end
  local opens = g and not gate().is_full(g) and gate().open_at(g, 0) or 0
  fact('limit:' .. subject,
    string.format('%.0f %.0f %.0f ', g and g.held or 0, g and g.most or 0, opens) .. (before or ''))
end

local function look_among_suspects()
  for n, element in ipairs(call('LRANGE', suspects_key(queue), 0, LOOK - 1)) do
    if is_it(string.sub(element, 3)) then return fact('suspect', n - 1) end
  end
end

if queue ~= '' then
  local flags = call('HGET', prefix .. 'controls', queue)
  if flags and string.find(flags, 'p', 1, true) then
    fact('paused', call('HGET', prefix .. 'controls:why', queue .. ':p') or '{}')
  end
end
if ready == '1' then
  look_into(ready_key(queue, priority))
  look_among_suspects()
  local higher = 0
  for above = priority + 1, 9 do
    higher = higher + call('LLEN', ready_key(queue, above))
      + (tonumber(call('HGET', prefix .. 'chunks', queue .. ':' .. above)) or 0)
  end
  fact('higher', higher)
  if limited() then
    look_at_limit('task:' .. name)
    if tenant ~= '' then look_at_limit('tenant:' .. tenant) end
    look_at_limit('queue:' .. queue)
  end
end
if queue ~= '' then look_elsewhere() end
local follower = call('HGET', prefix .. 'locks', id)
if follower then fact('follows', string.match(follower, '^w:(%x+):')) end
fact('expiry', call('ZSCORE', EXPIRY, id))
if lease ~= '' then
  fact('lease_until', call('ZSCORE', LEASES, lease))
  fact('cancel', call('HGET', prefix .. 'cancels', id))
end
for _, orphan in ipairs(call('LRANGE', prefix .. 'orphans', 0, 99)) do
  if call('HEXISTS', prefix .. 'orphan:' .. orphan, id) == 1 then fact('orphan', orphan) end
end
local kept = call('PTTL', RESULT .. id)
if kept >= 0 then fact('kept_ms', kept) end
if call('HEXISTS', prefix .. 'dead:tasks', id) == 1 then fact('dead', '1') end
return { now_ms(), facts }
