-- explain: what stands around one task, chunk or job: what is before it, until when its lease and its
-- outcome live. Reads only; where it is itself tells `inspect`.
-- keys   1 prefix
-- args   1 id  2 queue it is ready in, or ''  3 its priority there  4 lease that holds it, or ''
-- reply  <now ms> <facts: name, value, …; those that do not apply are missing>
--        ahead        tasks and chunks before it in its ready list; of a job: before its first element
--        beyond       1: it is not among the first 1,000 elements of that list, `ahead` counts those
--        higher       tasks and chunks ready in the same queue at higher priorities
--        suspect      how many suspects of the queue are before it: it is one of them
--        expiry       when it will not be started any more (ms)
--        lease_until  deadline of the lease (ms)
--        orphan       the lost lease out of which it is being put back
--        kept_ms      for how many milliseconds its outcome is still kept
--        dead         1: it is among the dead tasks
-- cost   O(log N), and when it is ready O(1,000 elements)
local id, queue, priority, lease = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local LOOK = 1000
local facts = {}

local function fact(name, value)
  if not value then return end
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

local function look_into(list)
  local ahead = 0
  for _, element in ipairs(call('LRANGE', list, 0, LOOK - 1)) do
    local before = is_it(element)
    if before then return fact('ahead', ahead + before) end
    ahead = ahead + 1 + extra_chunks(element)
  end
  if call('LLEN', list) > LOOK then
    fact('ahead', ahead)
    fact('beyond', '1')
  end
end

local function look_among_suspects()
  for n, element in ipairs(call('LRANGE', suspects_key(queue), 0, LOOK - 1)) do
    if is_it(string.sub(element, 3)) then return fact('suspect', n - 1) end
  end
end

if queue ~= '' then
  look_into(ready_key(queue, priority))
  look_among_suspects()
  local higher = 0
  for above = priority + 1, 9 do
    higher = higher + call('LLEN', ready_key(queue, above))
      + (tonumber(call('HGET', prefix .. 'chunks', queue .. ':' .. above)) or 0)
  end
  fact('higher', higher)
end
fact('expiry', call('ZSCORE', EXPIRY, id))
if lease ~= '' then fact('lease_until', call('ZSCORE', LEASES, lease)) end
for _, orphan in ipairs(call('LRANGE', prefix .. 'orphans', 0, 99)) do
  if call('HEXISTS', prefix .. 'orphan:' .. orphan, id) == 1 then fact('orphan', orphan) end
end
local kept = call('PTTL', RESULT .. id)
if kept >= 0 then fact('kept_ms', kept) end
if call('HEXISTS', prefix .. 'dead:tasks', id) == 1 then fact('dead', '1') end
return { now_ms(), facts }
