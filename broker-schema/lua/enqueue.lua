-- enqueue: put a batch of tasks where they belong, safe to repeat.
-- from   nothing                                to  ready | delayed | waiting (for the one it follows)
-- keys   1 prefix
-- args   1 producer  2 batch number, then groups:
--        P  queue, priority, n, (id, record) * n               plain: ready at once
--        X  queue, priority, id, record, delay ms, due ms, expires ms, expires after ms,
--           unique key, unique for ms                          one task with options; '' for none
--        U  queue, priority, id, record, delay ms, due ms, expires ms, expires after ms,
--           unique key, mode (q, b, d, k: see lib/locks), longest wait ms (for b) or ''
-- reply  ok <now ms> <duplicates: id, first id, ...> <refused: position in the batch from 0, how
--        many from there, queue, closed | full, limit, note in JSON or '', ...>
--        Of each group as many as fit are taken, from its beginning.
-- cost   O(tasks)
local QUEUES = prefix .. 'queues'
local now = now_ms()
local repeated, told, refused_before = already_done(ARGV[1], ARGV[2])
if repeated then return { 'ok', now, told, with_notes(refused_before) } end
local duplicates, at = {}, 3
local controlled = call('EXISTS', CONTROLS) == 1
local refused, position = {}, 0

-- nothing above writes; every task of a batch is independent of the others
note_done(ARGV[1], ARGV[2], {}, {})

local function plain(queue, priority, n)
  local first, last = at, at + 2 * n - 1
  at = last + 1
  position = position + n
  local fits = controlled and admit(queue, n) or n
  if fits < n then
    refuse(refused, position - n + fits, n - fits, queue)
    n, last = fits, first + 2 * fits - 1
    if n == 0 then return end
  end
  for i = first, last, UNPACK do call('HSET', TASKS, unpack(ARGV, i, math.min(i + UNPACK - 1, last))) end
  if is_fair(queue) then
    for i = first, last, 2 do push_back(queue, priority, ARGV[i], ARGV[i + 1]) end
  else
    local ids = {}
    for i = first, last, 2 do ids[#ids + 1] = ARGV[i] end
    each_bite('RPUSH', ready_key(queue, priority), ids)
  end
  call('HINCRBY', STATS, 'enqueued', n)
  call('SADD', QUEUES, queue)
  ring(queue)
end

local function duplicate(id, first)
  duplicates[#duplicates + 1] = id
  duplicates[#duplicates + 1] = first
end

-- Whether the queue takes one more; if not, that is noted.
local function admits(queue, delay, due)
  if delay ~= '' then due = now + tonumber(delay) end
  local delayed = due ~= '' and tonumber(due) > now
  if not controlled or admit(queue, 1, delayed) > 0 then return true end
  refuse(refused, position - 1, 1, queue)
  return false
end

-- What tasks with options add, collected so that many cost few commands: `flush` writes it.
local records, expiries, delays, lists, touched = {}, {}, {}, {}, {}

local function append(to, one, two)
  to[#to + 1] = one
  to[#to + 1] = two
end

local function flush()
  if #records == 0 then return end
  each_bite('HSET', TASKS, records)
  each_bite('ZADD', EXPIRY, expiries)
  each_bite('ZADD', DELAYED, delays)
  for list, ids in pairs(lists) do each_bite('RPUSH', list, ids) end
  call('HINCRBY', STATS, 'enqueued', #records / 2)
  for queue in pairs(touched) do
    call('SADD', QUEUES, queue)
    ring(queue)
  end
  records, expiries, delays, lists, touched = {}, {}, {}, {}, {}
end

local function add(id, record, expires, expires_after)
  append(records, id, record)
  if expires_after ~= '' then expires = now + tonumber(expires_after) end
  if expires ~= '' then append(expiries, expires, id) end
end

local function put(queue, priority, id, record, delay, due, expires, expires_after)
  add(id, record, expires, expires_after)
  touched[queue] = true
  if delay ~= '' then due = now + tonumber(delay) end
  if due ~= '' and tonumber(due) > now then
    append(delays, due, priority .. ':' .. queue .. ':' .. id)
  elseif is_fair(queue) then
    push_back(queue, priority, id, record)
  else
    local list = ready_key(queue, priority)
    lists[list] = lists[list] or {}
    lists[list][#lists[list] + 1] = id
  end
end

local function single(queue, priority, id, record, delay, due, expires, expires_after, key, unique_ms)
  position = position + 1
  local first = key ~= '' and locks().owner(key)
  if first then return duplicate(id, first) end
  if not admits(queue, delay, due) then return end
  if key ~= '' then call('SET', prefix .. 'unique:' .. key, id, 'PX', unique_ms) end
  put(queue, priority, id, record, delay, due, expires, expires_after)
end

-- How tasks are enqueued whose key is not only for a time. Made on the first use in a call.
local function keyed()
  local MOVED = prefix .. 'moved'

  -- The newest arguments take the place of those of a task that has not begun.
  local function replace(id, record, expires, expires_after)
    call('HSET', TASKS, id, record)
    if expires_after ~= '' then expires = now + tonumber(expires_after) end
    if expires ~= '' then call('ZADD', EXPIRY, expires, id) else call('ZREM', EXPIRY, id) end
  end

  -- A task with a key that another one has, which may take over its arguments, its time and, as long as it
  -- is delayed, its place.
  local function renew(first, lock, queue, priority, record, delay, expires, expires_after, key, mode)
    local _, more, old_priority, old_queue = locks().parse(lock)
    replace(first, record, expires, expires_after)
    local member = old_priority .. ':' .. old_queue .. ':' .. first
    local due = call('ZSCORE', DELAYED, member)
    if not due then
      -- It stays where it is, whatever its new record says.
      if old_queue ~= queue then call('HSET', MOVED, first, old_queue) end
      return
    end
    call('HDEL', MOVED, first)
    if mode == 'b' then
      due = now + tonumber(delay)
      if more ~= '' then due = math.min(due, tonumber(more)) end
    end
    call('ZREM', DELAYED, member)
    call('ZADD', DELAYED, due, priority .. ':' .. queue .. ':' .. first)
    call('SADD', QUEUES, queue)
    locks().note(first, mode, more, priority, queue, key)
    ring(queue)
  end

  -- The one with the key has begun: exactly one follows it, with the newest arguments.
  local function follow(running, lock, queue, priority, id, record, expires, expires_after, key)
    local mode, follower, its_priority, its_queue = locks().parse(lock)
    if follower ~= '' and call('HEXISTS', TASKS, follower) == 1 then
      replace(follower, record, expires, expires_after)
      duplicate(id, follower)
    else
      follower = id
      add(id, record, expires, expires_after)
      locks().note(running, mode, id, its_priority, its_queue, key)
    end
    call('SADD', QUEUES, queue)
    call('HSET', prefix .. 'waiting', follower, priority .. ':' .. queue)
    locks().note(follower, 'w', running, priority, queue, key)
  end

  return function(queue, priority, id, record, delay, due, expires, expires_after, key, mode, longest)
    position = position + 1
    local first, lock = locks().owner(key)
    if not first then
      if not admits(queue, delay, due) then return end
      local more = longest ~= '' and string.format('%.0f', now + tonumber(longest)) or ''
      locks().take(id, mode, more, priority, queue, key)
      return put(queue, priority, id, record, delay, due, expires, expires_after)
    end
    local held = lock and locks().parse(lock)
    if held == 'r' and mode == 'k' then
      return follow(first, lock, queue, priority, id, record, expires, expires_after, key)
    end
    if held == mode and (mode == 'b' or mode == 'k') then
      renew(first, lock, queue, priority, record, delay, expires, expires_after, key, mode)
    end
    duplicate(id, first)
  end
end

local unique
while ARGV[at] do
  local first = at + 1
  if ARGV[at] == 'P' then
    -- In the order in which they were given.
    flush()
    at = at + 4
    plain(ARGV[at - 3], ARGV[at - 2], tonumber(ARGV[at - 1]))
  elseif ARGV[at] == 'X' then
    at = at + 11
    single(unpack(ARGV, first, first + 9))
  else
    at = at + 12
    unique = unique or keyed()
    -- It looks at tasks, also at those of this batch.
    flush()
    unique(unpack(ARGV, first, first + 10))
    flush()
  end
end
flush()
if #duplicates > 0 or #refused > 0 then note_done(ARGV[1], ARGV[2], duplicates, refused) end
return { 'ok', now, duplicates, with_notes(refused) }
