-- shift: takes elements out of a queue in their order, for those who do not run them. What was
-- cancelled there is dropped on the way. Each element goes to `put(element, priority, due ms or nil,
-- whether it is a suspect)`; of turns, what waits behind them. All return the elements, and how many
-- were dropped.
local TOMBSTONES = prefix .. 'tombstones'

-- At most so many elements wait in the lists of a queue and behind the turns in them.
local function elements_in(queue)
  local n, beyond = call('LLEN', suspects_key(queue)), call('HLEN', TOMBSTONES)
  for priority = 0, 9 do
    n = n + call('LLEN', ready_key(queue, priority))
    beyond = beyond + (tonumber(call('HGET', prefix .. 'chunks', queue .. ':' .. priority)) or 0)
  end
  return n + math.max(beyond, 0)
end

-- Collects what is taken.
local function hands(put)
  local made = { taken = {}, dropped = 0 }
  local marked = call('EXISTS', TOMBSTONES) == 1
  function made.take(element, ...)
    if marked and drop_over(element) then
      made.dropped = made.dropped + 1
      return
    end
    put(element, ...)
    made.taken[#made.taken + 1] = element
  end
  function made.seen() return #made.taken + made.dropped end
  return made
end

-- Up to `room` tasks of the tenant whose turn it is. Returns 1 if it has more, or 0, and how many left.
local function take_from_turn(hand, queue, priority, turn, room)
  local key = turn_key(queue, priority, string.sub(turn, 2))
  local popped = call('LPOP', key, room) or {}
  for _, id in ipairs(popped) do hand.take(id, priority) end
  return call('EXISTS', key), #popped
end

local function is_turn(element) return string.sub(element, 1, 1) == '@' end

-- A bite off the front of one list; what is left of turns goes to the front again.
local function shift_list(hand, queue, priority, limit)
  local list, back, by = ready_key(queue, priority), {}, 0
  local popped = call('LPOP', list, limit - hand.seen()) or {}
  for i, element in ipairs(popped) do
    if is_turn(element) then
      local more, left = take_from_turn(hand, queue, priority, element, limit - hand.seen() - (#popped - i))
      if more == 1 then table.insert(back, 1, element) end
      by = by + 1 - more - left
    else
      hand.take(element, priority)
      by = by - extra_chunks(element)
    end
  end
  if #back > 0 then call('LPUSH', list, unpack(back)) end
  count_chunks(queue, priority, by)
  return #popped
end

-- Takes up to `limit` elements off the front, suspects first, then higher priorities first.
local function shift(queue, limit, put)
  local hand = hands(put)
  for _, entry in ipairs(call('LPOP', suspects_key(queue), limit) or {}) do
    local priority, element = string.match(entry, '^(%d):(.+)$')
    hand.take(element, priority, nil, true)
  end
  for priority = 9, 0, -1 do
    while hand.seen() < limit and shift_list(hand, queue, priority, limit) > 0 do end
  end
  return hand.taken, hand.dropped
end

-- The same for delayed ones, in no order: looks at about 300 of all queues from `cursor` on. Returns
-- the next cursor (0: all were looked at) before the rest.
local function shift_delayed(queue, cursor, limit, put)
  local hand = hands(put)
  local scanned = call('ZSCAN', DELAYED, cursor, 'MATCH', '?:' .. queue .. ':*', 'COUNT', 300)
  local members = scanned[2]
  for i = 1, #members, 2 do
    local priority, element = string.match(members[i], '^(%d):[^:]+:(.+)$')
    -- A scan may show a member twice.
    if #hand.taken < limit and call('ZREM', DELAYED, members[i]) == 1 then
      hand.take(element, priority, members[i + 1])
    end
  end
  return scanned[1], hand.taken, hand.dropped
end

-- The same for what a limit on `subject` has parked beside the lists: looks at about 300 of all queues
-- from `cursor` on, sorted by priority and age. Returns whether the limit was met, too: then this
-- cursor has more.
local function shift_parked(queue, subject, cursor, limit, put)
  local hand, key, found, met = hands(put), prefix .. 'parked:' .. subject, {}, false
  local scanned = call('ZSCAN', key, cursor, 'MATCH', '* ? ' .. queue .. '*', 'COUNT', 300)
  for i = 1, #scanned[2], 2 do found[#found + 1] = { scanned[2][i], tonumber(scanned[2][i + 1]) } end
  table.sort(found, function(a, b) return a[2] < b[2] or a[2] == b[2] and a[1] < b[1] end)
  for _, member in ipairs(found) do
    local element, priority, of, suspect = string.match(member[1], '^(%S+) (%d) (%S+)(.*)$')
    if of == queue and hand.seen() >= limit then
      met = true
    elseif of == queue and is_turn(element) then
      local more, left = take_from_turn(hand, queue, priority, element, limit - hand.seen())
      if more == 1 then met = true else call('ZREM', key, member[1]) end
      count_chunks(queue, priority, -left)
    elseif of == queue and call('ZREM', key, member[1]) == 1 then
      hand.take(element, priority, nil, suspect ~= '')
      count_chunks(queue, priority, -1 - (suspect == '' and extra_chunks(element) or 0))
    end
  end
  if call('EXISTS', key) == 0 then call('ZREM', prefix .. 'parked', subject) end
  return scanned[1], hand.taken, hand.dropped, met
end
