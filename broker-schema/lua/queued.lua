-- queued: a page of what waits in one place of a queue. Reads only.
-- keys   1 prefix
-- args   1 queue  2 place: 0..9 (its list of this priority) | suspects | delayed | parked:<subject> (what
--        only a limit on the subject keeps back) | turn:<priority>:<tenant> (what stands behind a turn)
--        3 cursor, 0 at first  4 how many at most (about, for what is delayed or parked)
-- reply  <now ms> <next cursor, 0 at the end> <ids of tasks> <ids of jobs of which chunks are here>
--        <parked turns that were met: places to look at, too>
--        What is cancelled meanwhile moves nothing. A list is read from its back, so that what is taken
--        off its front meanwhile hides nothing, either; what is added meanwhile may show things twice.
--        Of a turn in a list those are told that wait behind it; a turn that moves on meanwhile may be missed.
-- cost   O(how many), at most twice as many are told; of a list also O(cursor / 100)
local queue, place, cursor, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local now, tasks, jobs, seen = now_ms(), {}, {}, {}

local function add(element)
  local job = string.match(element, '^(%x+):')
  if not job then
    tasks[#tasks + 1] = element
  elseif not seen[job] then
    seen[job] = true
    jobs[#jobs + 1] = job
  end
end

if place == 'delayed' then
  local found = call('ZSCAN', DELAYED, cursor, 'COUNT', most)
  for i = 1, #found[2], 2 do
    local of, element = string.match(found[2][i], '^%d:([^:]+):(.+)$')
    if of == queue then add(element) end
  end
  return { now, found[1], tasks, jobs, {} }
end

local subject = string.match(place, '^parked:(.+)$')
if subject then
  local turns = {}
  local found = call('ZSCAN', prefix .. 'parked:' .. subject, cursor, 'MATCH', '* ? ' .. queue .. '*', 'COUNT', most)
  for i = 1, #found[2], 2 do
    local element, priority, of = string.match(found[2][i], '^(%S+) (%d) (%S+)')
    local tenant = string.match(element, '^@(.+)$')
    if of == queue and tenant then
      turns[#turns + 1] = 'turn:' .. priority .. ':' .. tenant
    elseif of == queue then
      add(element)
    end
  end
  return { now, found[1], tasks, jobs, turns }
end

local function list_of()
  local priority, tenant = string.match(place, '^turn:(%d):(.+)$')
  if tenant then return turn_key(queue, priority, tenant) end
  return place == 'suspects' and suspects_key(queue) or ready_key(queue, place)
end

local list = list_of()
-- A cursor counts elements of the list, and tasks behind the turn at which it stands.
local STEP = 67108864
local offset, behind = cursor % STEP, math.floor(cursor / STEP)
local function cursor_at(element, task) return string.format('%.0f', task * STEP + offset + element) end

local page = call('LRANGE', list, -offset - most, -offset - 1)
for i = #page, 1, -1 do
  local tenant, before = string.match(page[i], '^@(.+)$'), #page - i
  if tenant then
    local ids = call('LRANGE', turn_key(queue, place, tenant), -behind - most, -behind - 1)
    for k = #ids, 1, -1 do add(ids[k]) end
    if #ids == most then return { now, cursor_at(before, behind + most), tasks, jobs, {} } end
    if #tasks >= most then return { now, cursor_at(before + 1, 0), tasks, jobs, {} } end
  else
    add(place == 'suspects' and string.match(page[i], '^%d:(.+)$') or page[i])
  end
  -- Only the first element of a page may have been told in part.
  behind = 0
end
return { now, #page < most and 0 or cursor_at(#page, 0), tasks, jobs, {} }
