-- locks: keys that stand for a task as long as it is queued, or until it has ended.
--
-- `unique:<key>` holds the id of the task, `locks` the way back: id → `<mode>:<more>:<priority>:<queue>:<key>`.
--   q  while queued: released when the task is claimed
--   b  debounced: the same; more: the time (ms) to which it can be put off, or ''
--   d  until done
--   k  keep-last, queued;  r  keep-last, started; more: the task that follows it, or ''
--   w  that follower; more: the task that it follows
-- The script that ends a task (or claims it, for q and b) releases its key, if that is still its own. A
-- key whose task is gone without having released it stands for nothing.

-- Made on the first use in a call.
local locks_made
local function locks()
  if locks_made then return locks_made end
  local LOCKS = prefix .. 'locks'
  local WAITING = prefix .. 'waiting'

  local function unique_key(key) return prefix .. 'unique:' .. key end

  local function parse(value)
    return string.match(value, '^(%a):([^:]*):(%d):([^:]*):(.*)$')
  end

  local function note(id, mode, more, priority, queue, key)
    call('HSET', LOCKS, id, table.concat({ mode, more, priority, queue, key }, ':'))
  end

  local function take(id, mode, more, priority, queue, key)
    call('SET', unique_key(key), id)
    note(id, mode, more, priority, queue, key)
  end

  -- The task that a key stands for, and its lock if it has one (and not only a time). Of a task that is
  -- gone, which a worker of an older version may have ended, nothing counts.
  local function owner(key)
    local id = call('GET', unique_key(key))
    if not id then return nil end
    local value = call('HGET', LOCKS, id)
    if value and call('HEXISTS', TASKS, id) == 0 then
      call('HDEL', LOCKS, id)
      return nil
    end
    return id, value
  end

  -- The follower takes over: its turn has come.
  local function hand_over(follower)
    local _, _, priority, queue, key = parse(call('HGET', LOCKS, follower))
    take(follower, 'k', '', priority, queue, key)
    call('HDEL', WAITING, follower)
    push_back(queue, priority, follower)
    ring(queue)
  end

  local function release(id, value)
    local mode, more, _, _, key = parse(value)
    call('HDEL', LOCKS, id)
    if mode == 'w' then
      call('HDEL', WAITING, id)
      local before = call('HGET', LOCKS, more)
      if before then
        local m, follower, p, q, k = parse(before)
        if follower == id then note(more, m, '', p, q, k) end
      end
    elseif call('GET', unique_key(key)) == id then
      if mode == 'r' and more ~= '' and call('HEXISTS', TASKS, more) == 1 then
        hand_over(more)
      else
        call('DEL', unique_key(key))
      end
    end
  end

  local function each_lock(ids, act)
    for i = 1, #ids, UNPACK do
      local last = math.min(i + UNPACK - 1, #ids)
      for k, value in ipairs(call('HMGET', LOCKS, unpack(ids, i, last))) do
        if value then act(ids[i + k - 1], value) end
      end
    end
  end

  -- Tasks have ended, however.
  local function ended(ids) each_lock(ids, release) end

  -- Tasks are given to a worker.
  local function began(ids)
    each_lock(ids, function(id, value)
      local mode, more, priority, queue, key = parse(value)
      if mode == 'q' or mode == 'b' then release(id, value) end
      if mode == 'k' then note(id, 'r', more, priority, queue, key) end
    end)
  end

  locks_made = { parse = parse, note = note, take = take, owner = owner, ended = ended, began = began }
  return locks_made
end
