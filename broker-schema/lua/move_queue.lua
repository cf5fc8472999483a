-- move_queue: carry what waits in one queue over to another, a bite at a time: order, priorities and
-- suspects stay what they are, and tenants take turns where the other queue wants that.
-- keys   1 prefix
-- args   1 from  2 to, another queue  3 ready | delayed | parked:<subject>  4 cursor, from 0, of what
--        is not ready  5 elements at most (of ready and parked ones at most 1,000); of delayed ones
--        what is met beyond them is passed over
-- reply  ok <now ms> <elements moved> <tasks and chunks in them> <cancelled ones that were dropped>
--        <elements left> <cursor, 0: end>
--        left: of the ready ones at most so many; of the parked ones 1 if this cursor has more
-- cost   O(elements); a bite of delayed or parked ones looks at about 300, of whatever queue
local from, to, where, cursor, limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local now = now_ms()
local tasks, left, elements, dropped = 0, 0, {}, 0
local locked = call('EXISTS', prefix .. 'locks') == 1

-- nothing above writes

-- Who looks for it later must find it: its record and the spec of its job stay as they are.
local function note_place(element, priority)
  local job = string.match(element, '^(%x+):')
  if job then
    if call('HGET', job_key(job), 'state') == 'running' then call('HSET', job_key(job), 'place', priority .. ':' .. to) end
    return
  end
  -- What has ended meanwhile leaves nothing behind.
  if call('HEXISTS', TASKS, element) == 0 then return end
  call('HSET', prefix .. 'moved', element, to)
  local lock = locked and call('HGET', prefix .. 'locks', element)
  if lock then
    local mode, more, _, _, key = locks().parse(lock)
    locks().note(element, mode, more, priority, to, key)
  end
end

local function put(element, priority, due, suspect)
  if due then
    call('ZADD', DELAYED, due, priority .. ':' .. to .. ':' .. element)
  elseif suspect then
    call('RPUSH', suspects_key(to), priority .. ':' .. element)
  else
    push_back(to, priority, element)
  end
  note_place(element, priority)
  tasks = tasks + 1 + extra_chunks(element)
end

if where == 'ready' then
  elements, dropped = shift(from, limit, put)
  left = elements_in(from)
elseif where == 'delayed' then
  cursor, elements, dropped = shift_delayed(from, cursor, limit, put)
else
  local met
  cursor, elements, dropped, met = shift_parked(from, string.match(where, '^parked:(.+)$'), cursor, limit, put)
  left = met and 1 or 0
end
if #elements > 0 then
  call('SADD', prefix .. 'queues', to)
  ring(to)
end
return { 'ok', now, #elements, tasks, dropped, left, cursor }
