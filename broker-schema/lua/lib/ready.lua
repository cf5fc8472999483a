-- ready: how elements enter and leave the ready lists. An element is one of
--   <id>               a task (32 hex digits)
--   <job>:<index>      one chunk that goes its own way, because it is retried
--   <job>:<lo>-<hi>    a range of chunks, lo included, hi not; `+<crashes>` follows when
--                      workers were lost with it
--   @<tenant>          a turn: tasks of this tenant wait in a list of their own (see push_back)
-- The hash `chunks` counts how many tasks and chunks wait at a list beyond its elements (in
-- ranges, behind turns, parked beside it), less those in it that were cancelled, so that the depth
-- of a queue is known without reading its lists.

local function ready_key(queue, priority) return prefix .. 'ready:' .. queue .. ':' .. priority end
local function suspects_key(queue) return prefix .. 'suspects:' .. queue end

local MOST_BITS = 4294967295

local function range_of(element)
  local job, lo, hi, crashes = string.match(element, '^(%x+):(%d+)%-(%d+)%+?(%d*)$')
  -- Bitmaps have no more bits; such a range was put there by a foreign hand.
  if not job or tonumber(hi) > MOST_BITS then return nil end
  return job, tonumber(lo), tonumber(hi), tonumber(crashes) or 0
end

local function range_element(job, lo, hi, crashes)
  local element = string.format('%s:%.0f-%.0f', job, lo, hi)
  if crashes > 0 then element = element .. '+' .. crashes end
  return element
end

-- Sets bits lo..hi of a map.
local function set_bits(key, lo, hi)
  local byte_lo, byte_hi = math.ceil(lo / 8), math.floor(hi / 8)
  if byte_lo >= byte_hi then
    for i = lo, hi - 1 do call('SETBIT', key, i, 1) end
    return
  end
  for i = lo, byte_lo * 8 - 1 do call('SETBIT', key, i, 1) end
  call('SETRANGE', key, byte_lo, string.rep('\255', byte_hi - byte_lo))
  for i = byte_hi * 8, hi - 1 do call('SETBIT', key, i, 1) end
end

-- The number of chunks that an element adds to a list beyond being one element.
local function extra_chunks(element)
  local job, lo, hi = range_of(element)
  if job then return hi - lo - 1 end
  return 0
end

local function count_chunks(queue, priority, by)
  if by ~= 0 then call('HINCRBY', prefix .. 'chunks', queue .. ':' .. priority, by) end
end

-- Puts an element at the front of its list: it was there before all that wait now.
local function push_front(queue, priority, element)
  call('LPUSH', ready_key(queue, priority), element)
  count_chunks(queue, priority, extra_chunks(element))
end

-- The name and the tenant of a task, from what its record or the spec of its job begins with.
local function terms_of(record)
  local name, at = string.match(record, '^{"v":1,"task":"([^"]*)"()')
  if not name then name, at = string.match(record, '^{"v":1,"chunk":{"v":1,"task":"([^"]*)"()') end
  if name then return name, string.match(record, '^,"tenant":"([^"]*)"', at) end
end

local function turn_key(queue, priority, tenant)
  return prefix .. 'turn:' .. queue .. ':' .. priority .. ':' .. tenant
end

-- Whether the tenants of a queue take turns. Asked once in a call.
local fair_queues
local function is_fair(queue)
  if fair_queues == nil then fair_queues = call('EXISTS', prefix .. 'fair') == 1 and {} end
  if not fair_queues then return false end
  if fair_queues[queue] == nil then fair_queues[queue] = call('SISMEMBER', prefix .. 'fair', queue) == 1 end
  return fair_queues[queue]
end

-- Puts an element at the back of its list. In a fair queue a task with a tenant goes to the back
-- of its tenant's list, which has one turn in the ready list while anything is in it.
local function push_back(queue, priority, element, record)
  if is_fair(queue) then
    record = record or call('HGET', TASKS, element)
    local _, tenant = terms_of(record or '')
    if tenant then
      if call('RPUSH', turn_key(queue, priority, tenant), element) > 1 then
        count_chunks(queue, priority, 1)
        return
      end
      element = '@' .. tenant
    end
  end
  call('RPUSH', ready_key(queue, priority), element)
  count_chunks(queue, priority, extra_chunks(element))
end

-- An element was taken off its list, and its task is over. If it was cancelled there, it was not
-- counted any more (see cancel); that is made good, since now it is not in the list either. Returns
-- whether it was.
local function drop_over(element)
  local tombstones = prefix .. 'tombstones'
  local list = call('HGET', tombstones, element)
  if list then
    call('HDEL', tombstones, element)
    call('HINCRBY', prefix .. 'chunks', list, 1)
  end
  return list ~= false
end

-- Moves up to `limit` due elements from `delayed` to the back of their lists. `head`: the earliest
-- of them with its time.
local function promote(now, head, limit)
  if not head[2] or tonumber(head[2]) > now then return 0 end
  local due = call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, limit)
  local queues, lists = {}, {}
  for _, member in ipairs(due) do
    local priority, queue, id = string.match(member, '^(%d):([^:]+):(.+)$')
    -- What makes no sense (a foreign hand wrote it) leaves with the others, and is nowhere then.
    if id then
      queues[queue] = true
      if is_fair(queue) or extra_chunks(id) > 0 then
        push_back(queue, priority, id)
      else
        local list = ready_key(queue, priority)
        lists[list] = lists[list] or {}
        lists[list][#lists[list] + 1] = id
      end
    end
  end
  for list, ids in pairs(lists) do each_bite('RPUSH', list, ids) end
  each_bite('ZREM', DELAYED, due)
  for queue in pairs(queues) do ring(queue) end
  return #due
end
