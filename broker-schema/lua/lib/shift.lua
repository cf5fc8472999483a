-- shift: takes elements out of a queue in their order, for those who do not run them.

-- How many elements wait in the lists of a queue; a range is one.
local function elements_in(queue)
  local n = call('LLEN', suspects_key(queue))
  for priority = 0, 9 do n = n + call('LLEN', ready_key(queue, priority)) end
  return n
end

-- Takes up to `limit` elements off the front, suspects first, then higher priorities first, and gives
-- each to `put(element, priority)`; suspects as they are stored, `<priority>:<element>`, without a
-- priority of their own. Returns the elements alone.
local function shift(queue, limit, put)
  local taken = {}
  for _, entry in ipairs(call('LPOP', suspects_key(queue), limit) or {}) do
    put(entry)
    taken[#taken + 1] = string.match(entry, '^%d:(.+)$')
  end
  for priority = 9, 0, -1 do
    if #taken >= limit then break end
    local chunks = 0
    for _, element in ipairs(call('LPOP', ready_key(queue, priority), limit - #taken) or {}) do
      put(element, priority)
      chunks = chunks + extra_chunks(element)
      taken[#taken + 1] = element
    end
    count_chunks(queue, priority, -chunks)
  end
  return taken
end

-- The same for delayed ones, in no order: looks at about 300 of all queues from `cursor` on, and
-- gives each of this queue to `put(element, priority, due ms)`. Returns the next cursor (0: all were
-- looked at), and the elements alone.
local function shift_delayed(queue, cursor, limit, put)
  local scanned = call('ZSCAN', DELAYED, cursor, 'MATCH', '?:' .. queue .. ':*', 'COUNT', 300)
  local taken, members = {}, scanned[2]
  for i = 1, #members, 2 do
    local priority, element = string.match(members[i], '^(%d):[^:]+:(.+)$')
    -- A scan may show a member twice.
    if #taken < limit and call('ZREM', DELAYED, members[i]) == 1 then
      put(element, priority, members[i + 1])
      taken[#taken + 1] = element
    end
  end
  return scanned[1], taken
end
