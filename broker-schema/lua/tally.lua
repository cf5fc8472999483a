-- tally: add what a worker or a producer has counted to the figures of this minute, and what it ended
-- lately to the list of recent tasks. Told about once a second: it costs nothing per task.
-- keys   1 prefix
-- args   1 for how long (ms) it was counted  2 how many of the next three: each a queue, a task and
--        its figures, JSON; then of each task that ended lately: its state, succeeded or cancelled, and
--        what is told of it, JSON
-- reply  <now ms> <how many leases there are>
-- cost   O(args), the upkeep of some minutes (see roll), and once a minute O(queues), at most 100
local PAIRS, OTHERS = 100, 20
local RECENT = 5000
-- Who tells later than this had trouble.
local LATE_MS = 15000
local MOST_QUEUES = 100
-- Pairs of which nothing was heard for so long leave the totals.
local FORGET_MS = 2592000000
-- Fields that are added to coarser buckets in one call, before it is enough.
local ROLL = 60
local STATE = prefix .. 'figures'
local now = now_ms()

local function fold(list)
  local map = {}
  for i = 1, #list, 2 do map[list[i]] = list[i + 1] end
  return map
end

-- The field for a queue and a task; with too many of them, one that they share with others.
local function field_of(key, queue, task)
  local own, shared = queue .. ' ' .. task, '(other) ' .. task
  if call('HEXISTS', key, own) == 1 then return own end
  local fields = call('HLEN', key)
  if fields < PAIRS then return own end
  if fields < PAIRS + OTHERS or call('HEXISTS', key, shared) == 1 then return shared end
  return '(other) (other)'
end

-- Adds figures (JSON) to those of a field.
local function add(key, field, figures)
  local before = call('HGET', key, field)
  if before then
    local sum = cjson.decode(before)
    for name, n in pairs(cjson.decode(figures)) do sum[name] = (sum[name] or 0) + n end
    figures = cjson.encode(sum)
  end
  call('HSET', key, field, figures)
end

local function add_pair(key, queue, task, figures)
  local field = field_of(key, queue, task)
  add(key, field, figures)
  return field
end

-- Names that come and go must not fill the totals for ever.
local function note_name(field, at) call('ZADD', prefix .. 'figures:names', at, field) end
local function forget_names(total, now)
  local names = prefix .. 'figures:names'
  local gone = call('ZRANGEBYSCORE', names, '-inf', now - FORGET_MS, 'LIMIT', 0, 20)
  if #gone > 0 then
    call('ZREM', names, unpack(gone))
    call('HDEL', total, unpack(gone))
  end
end

local function note_late(key, ms)
  if tonumber(ms) > tonumber(call('HGET', key, '!') or LATE_MS) then call('HSET', key, '!', ms) end
end

-- Adds one minute to a coarser bucket. Returns how many fields it had.
local function roll_minute(level, at)
  local from, to = bucket_key('minute', at), bucket_key(level, at)
  local fields = call('HGETALL', from)
  if #fields == 0 then return 0 end
  local is_new = call('EXISTS', to) == 0
  for i = 1, #fields, 2 do
    local field, value = fields[i], fields[i + 1]
    local queue, task = string.match(field, '^(%S+) (%S+)$')
    if queue then
      local shared = add_pair(to, queue, task, value)
      if level == 'total' then note_name(shared, at) end
    elseif field == '*' then
      add(to, field, value)
    elseif field == '!' then
      note_late(to, value)
    elseif level ~= 'total' then
      call('HSET', to, field, value)
    end
  end
  if level == 'total' then forget_names(to, at) end
  if is_new and LEVELS[level][2] > 0 then call('PEXPIRE', to, LEVELS[level][2] + LEVELS[level][1]) end
  return #fields / 2
end

-- Adds the minutes that are over to the coarser buckets, each minute as a whole. Nothing is added to a
-- minute that is over, so that it counts there once and for all.
local function roll(state, minute)
  local done = 0
  for _, level in ipairs({ 'ten', 'hour', 'total' }) do
    -- Older ones are gone.
    local at = math.max(tonumber(state[level]), minute - LEVELS.minute[2] - MINUTE_MS)
    while at < minute and done < ROLL do
      done = done + roll_minute(level, at) + 0.2
      at = at + MINUTE_MS
    end
    call('HSET', STATE, level, string.format('%.0f', at))
  end
end

-- What waits now, by queue.
local function depths()
  local ready = {}
  for _, queue in ipairs(call('SRANDMEMBER', prefix .. 'queues', MOST_QUEUES)) do
    local n, counts = call('LLEN', suspects_key(queue)), {}
    for priority = 0, 9 do
      n = n + call('LLEN', ready_key(queue, priority))
      counts[priority + 1] = queue .. ':' .. priority
    end
    for _, more in ipairs(call('HMGET', prefix .. 'chunks', unpack(counts))) do n = n + (tonumber(more) or 0) end
    ready[queue] = n
  end
  return cjson.encode({ ready = ready, delayed = call('ZCARD', DELAYED), leases = call('ZCARD', LEASES) })
end

-- What was counted in all since the last call, whoever called. At first: what is told in this one.
local function count_all(key, state)
  local new, changes, some = call('HGETALL', STATS), {}, false
  local seen = {}
  for i = 1, #new, 2 do
    local name, n = new[i], tonumber(new[i + 1])
    local before = tonumber(state['n:' .. name] or 0)
    -- Less than before: the data was lost, and it is counted anew.
    local more = n >= before and n - before or n
    if more > 0 then
      changes[name], some = more, true
      seen[#seen + 1] = 'n:' .. name
      seen[#seen + 1] = new[i + 1]
    end
  end
  if #seen > 0 then call('HSET', STATE, unpack(seen)) end
  if some and state.since then add(key, '*', cjson.encode(changes)) end
  return some
end

-- nothing above writes
local minute = now - now % MINUTE_MS
local key, state = bucket_key('minute', now), fold(call('HGETALL', STATE))
local pairs_told = tonumber(ARGV[2])
local is_new = call('EXISTS', key) == 0
count_all(key, state)
local at = 3
for _ = 1, pairs_told do
  add_pair(key, ARGV[at], ARGV[at + 1], ARGV[at + 2])
  if not state.since then
    local first = {}
    for name, n in pairs(cjson.decode(ARGV[at + 2])) do
      if string.find(name, '^%l%l%l') then first[name] = n end
    end
    if next(first) then add(key, '*', cjson.encode(first)) end
  end
  at = at + 3
end
note_late(key, ARGV[1])
if is_new then
  call('HSET', key, '#', depths())
  call('PEXPIRE', key, LEVELS.minute[2] + MINUTE_MS)
end
if not state.since then
  local text = string.format('%.0f', minute)
  call('HSET', STATE, 'since', text, 'ten', text, 'hour', text, 'total', text)
elseif tonumber(state.ten) < minute or tonumber(state.hour) < minute or tonumber(state.total) < minute then
  roll(state, minute)
end
for i = at, #ARGV, 2 do call('XADD', prefix .. 'recent:' .. ARGV[i], 'MAXLEN', '~', RECENT, '*', 'task', ARGV[i + 1]) end
return { now, call('ZCARD', LEASES) }
