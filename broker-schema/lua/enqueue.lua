-- enqueue: put a batch of tasks where they belong, safe to repeat.
-- from   nothing                                to  ready | delayed
-- keys   1 prefix
-- args   1 producer  2 batch number, then groups:
--        P  queue, priority, n, (id, record) * n               plain: ready at once
--        X  queue, priority, id, record, delay ms, due ms, expires ms, expires after ms,
--           unique key, unique for ms                          one task with options; '' for none
-- reply  ok <now ms> <duplicates: id, first id, ...> <refused: position in the batch from 0, how
--        many from there, queue, closed | full, limit, note in JSON or '', ...>
--        Of each group as many as fit are taken, from its beginning.
-- cost   O(tasks)
local QUEUES = prefix .. 'queues'
local now = now_ms()
local repeated = already_done(ARGV[1], ARGV[2])
local duplicates, at = {}, 3
local controlled = call('EXISTS', CONTROLS) == 1
local refused, position = {}, 0
if repeated and controlled then refused = refused_before(ARGV[1], ARGV[2]) end

-- nothing above writes; every task of a batch is independent of the others
if not repeated then note_done(ARGV[1], ARGV[2]) end

local function plain(queue, priority, n)
  local first, last = at, at + 2 * n - 1
  at = last + 1
  position = position + n
  if repeated then return end
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

-- The first id of an idempotency key, if it is not this one.
local function first_of(key, id)
  if key == '' then return nil end
  local first = call('GET', prefix .. 'unique:' .. key)
  if first and first ~= id then return first end
end

local function single(queue, priority, id, record, delay, due, expires, expires_after, unique, unique_ms)
  position = position + 1
  local first = first_of(unique, id)
  if first then
    duplicates[#duplicates + 1] = id
    duplicates[#duplicates + 1] = first
    return
  end
  if repeated then return end
  if delay ~= '' then due = now + tonumber(delay) end
  local delayed = due ~= '' and tonumber(due) > now
  if controlled and admit(queue, 1, delayed) == 0 then return refuse(refused, position - 1, 1, queue) end
  if unique ~= '' then call('SET', prefix .. 'unique:' .. unique, id, 'PX', unique_ms) end
  call('HSET', TASKS, id, record)
  call('HINCRBY', STATS, 'enqueued', 1)
  call('SADD', QUEUES, queue)
  if expires_after ~= '' then expires = now + tonumber(expires_after) end
  if expires ~= '' then call('ZADD', EXPIRY, expires, id) end
  if delayed then
    call('ZADD', DELAYED, due, priority .. ':' .. queue .. ':' .. id)
  else
    push_back(queue, priority, id, record)
  end
  ring(queue)
end

while ARGV[at] do
  if ARGV[at] == 'P' then
    at = at + 4
    plain(ARGV[at - 3], ARGV[at - 2], tonumber(ARGV[at - 1]))
  else
    local first = at + 1
    at = at + 11
    single(unpack(ARGV, first, first + 9))
  end
end
if not repeated then note_refused(ARGV[1], ARGV[2], refused) end
return { 'ok', now, duplicates, with_notes(refused) }
