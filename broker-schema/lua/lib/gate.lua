-- gate: limits across the fleet. A limit is on a subject: `queue:<queue>`, `task:<name>` or
-- `tenant:<tenant>`; a limit on `*` holds for each subject of its kind that has none of its own.
-- It is `<n> <period ms> <burst> <concurrency>`: n per period with so many at once, and so many
-- in flight; 0 where there is none.
--
-- What its queue does not let go stays in its lists. What its name or tenant does not let go is
-- parked beside them, sorted by priority and age, and comes back to the front of its list when
-- there is room: when a holder ends, or at the time that `parked` says.
local HOLDING = prefix .. 'holding'
local PARKED = prefix .. 'parked'

-- Whether there is any limit, or anything left that one has parked.
local function limited()
  return call('EXISTS', prefix .. 'limits:queue', prefix .. 'limits:task', prefix .. 'limits:tenant', PARKED) > 0
end

-- How many subjects one call looks after, and how many elements of each come back at once.
local DRIVE_SUBJECTS = 10
local DRIVE_BITE = 100
-- What was let out of `parked` may vanish (cancelled, of a queue that nobody serves): look again.
local DRIVE_AGAIN_MS = 1000

local gate_made
local function gate()
  if gate_made then return gate_made end
  local HELD = prefix .. 'held'
  local now = now_ms()
  local kinds, gauges, used, holding, moved = {}, {}, {}, {}, {}

  local function parked_key(subject) return prefix .. 'parked:' .. subject end
  local function rate_key(subject) return prefix .. 'rate:' .. subject end
  local function whole(number) return string.format('%.0f', number) end

  local function rule_of(kind, name)
    local key = prefix .. 'limits:' .. kind
    if kinds[kind] == nil then kinds[kind] = call('EXISTS', key) == 1 end
    if not kinds[kind] then return nil end
    local own, default = unpack(call('HMGET', key, name, '*'))
    return own or default
  end

  -- The limit of a subject and how far it is used; false if there is none. The rate is a bucket
  -- that leaks n per period (the same as GCRA). Its level is counted in parts of which a task is
  -- `period`, and a millisecond takes `n` away: whole numbers, so that nothing is ever rounded.
  local function gauge(subject)
    local known = gauges[subject]
    if known ~= nil then return known end
    local kind, name = string.match(subject, '^(%l+):(.+)$')
    local rule = kind and rule_of(kind, name)
    local made = false
    if rule then
      local n, period, burst, most = string.match(rule, '^(%d+) (%d+) (%d+) (%d+)$')
      -- A limit of nonsense is none.
      if n then made = { subject = subject, n = tonumber(n), period = tonumber(period), burst = tonumber(burst),
        most = tonumber(most), level = 0, held = 0 } end
      if made and made.n > 0 then
        local level, at, of = string.match(call('GET', rate_key(subject)) or '', '^(%d+) (%d+) (%d+)$')
        -- A bucket whose limit was changed stays as full as it was.
        if level and tonumber(of) ~= made.period then level = math.ceil(level * made.period / of) end
        if level then made.level = math.max(level - math.max(now - at, 0) * made.n, 0) end
      end
      if made and made.most > 0 then made.held = tonumber(call('HGET', HELD, subject)) or 0 end
    end
    gauges[subject] = made
    return made
  end

  local function is_full(g) return g.most > 0 and g.held >= g.most end

  -- How many more it lets go now.
  local function room(g)
    local free = math.huge
    if g.n > 0 then free = math.floor((g.burst * g.period - g.level) / g.period) end
    if g.most > 0 then free = math.min(free, g.most - g.held) end
    return math.max(free, 0)
  end

  -- When its rate lets another one go once `more` have gone; nil if it has none.
  local function open_at(g, more)
    if g.n == 0 then return nil end
    local over = g.level + more * g.period - (g.burst - 1) * g.period
    return now + math.max(math.ceil(over / g.n), 0)
  end

  -- Which gauges hold for what is given out at a place; its record or job spec tells the rest.
  local function gauges_of(queue, record)
    local found = {}
    local function add(subject)
      local g = gauge(subject)
      if g then found[#found + 1] = g end
    end
    local name, tenant = terms_of(record)
    if name then add('task:' .. name) end
    if tenant then add('tenant:' .. tenant) end
    add('queue:' .. queue)
    return found
  end

  -- How many of `want` all of them let go, and which one lets none go.
  local function allowed(found, want)
    for _, g in ipairs(found) do
      want = math.min(want, room(g))
      if want < 1 then return 0, g end
    end
    return want
  end

  -- So many under one in-flight name go.
  local function enter(field, found, count)
    local names
    for _, g in ipairs(found) do
      g.level = g.level + count * g.period
      used[g] = true
      if g.most > 0 then
        g.held = g.held + count
        names = (names or whole(count)) .. ' ' .. g.subject
      end
    end
    if names then
      holding[#holding + 1] = field
      holding[#holding + 1] = names
    end
  end

  -- The subject is looked after at this time, or earlier if that is noted already.
  local function note(subject, at, queue)
    local changed = call('ZADD', PARKED, 'LT', 'CH', at, subject)
    if changed == 1 and at ~= 'inf' then gate_made.news = queue end
  end

  local function moves(queue, priority, by)
    local place = queue .. ':' .. priority
    moved[place] = (moved[place] or 0) + by
  end

  -- Puts an element beside its list until `g` has room. It counts as ready all the while. Tenants'
  -- turns go behind single elements.
  local function park(place, element, g)
    local score = 9 - place.priority
    if string.sub(element, 1, 1) == '@' then score = score + 10 end
    call('ZADD', parked_key(g.subject), score,
      element .. ' ' .. place.priority .. ' ' .. place.queue .. (place.suspect and ' s' or ''))
    moves(place.queue, place.priority, 1)
    local at = is_full(g) and 'inf' or open_at(g, 0) or now + DRIVE_AGAIN_MS
    note(g.subject, at == 'inf' and at or whole(at), place.queue)
  end

  local paused = {}
  local function is_paused(queue)
    if paused[queue] == nil then
      local flags = call('HGET', prefix .. 'controls', queue)
      paused[queue] = flags ~= false and string.find(flags, 'p', 1, true) ~= nil
    end
    return paused[queue]
  end

  -- The first that a subject has parked, up to `n` of queues that are not paused. Those of paused ones
  -- on the way use no room and must not stand before others: they come, too, but only so many. Returns
  -- how many are of queues that are not.
  local function pop_parked(subject, n)
    local found, out = {}, 0
    while out < n and #found < DRIVE_BITE do
      local popped = call('ZPOPMIN', parked_key(subject), n - out)
      if #popped == 0 then break end
      for i = 1, #popped, 2 do
        local element, priority, queue, suspect = string.match(popped[i], '^(%S+) (%d) (%S+)(.*)$')
        -- What makes no sense is dropped.
        if element then
          found[#found + 1] = { element = element, priority = priority, queue = queue, suspect = suspect ~= '' }
          if not is_paused(queue) then out = out + 1 end
        end
      end
    end
    return found, out
  end

  -- Puts them back to the front of their lists.
  local function let_out(subject, n)
    local found, out = pop_parked(subject, n)
    local queues = {}
    for i = #found, 1, -1 do
      local one = found[i]
      if one.suspect then
        call('LPUSH', suspects_key(one.queue), one.priority .. ':' .. one.element)
      else
        call('LPUSH', ready_key(one.queue, one.priority), one.element)
      end
      call('HINCRBY', prefix .. 'chunks', one.queue .. ':' .. one.priority, -1)
      -- Nobody is woken for a paused queue; who resumes it rings.
      if not queues[one.queue] and not is_paused(one.queue) then ring(one.queue) end
      queues[one.queue] = true
    end
    return out
  end

  -- Lets out as many as there is room for, and notes when to look again.
  local function drive(subject)
    local queue = string.match(subject, '^queue:(.+)$')
    if queue then
      call('ZREM', PARKED, subject)
      if not is_paused(queue) then ring(queue) end
      return
    end
    local g = gauge(subject)
    local n, out = math.min(g and room(g) or DRIVE_BITE, DRIVE_BITE), 0
    if n > 0 then out = let_out(subject, n) end
    if call('EXISTS', parked_key(subject)) == 0 then
      call('ZREM', PARKED, subject)
    elseif g and is_full(g) then
      call('ZADD', PARKED, 'inf', subject)
    else
      local at = g and (open_at(g, out) or now + DRIVE_AGAIN_MS) or now
      -- Only paused queues were met: there are more to pass.
      if n > 0 and out == 0 then at = now end
      if g and n > 0 then at = math.max(at, now + 1) end
      call('ZADD', PARKED, whole(at), subject)
    end
  end

  -- Those are not in flight any more; of runs `count` chunks. What is not held gives nothing back,
  -- so that a place is given back once.
  local function give_back(fields, count)
    local freed, order, gone, seen = {}, {}, {}, {}
    for i = 1, #fields, UNPACK do
      for k, text in ipairs(call('HMGET', HOLDING, unpack(fields, i, math.min(i + UNPACK - 1, #fields)))) do
        local field = fields[i + k - 1]
        -- A worker may tell of one ending twice in one call.
        if text and not seen[field] then
          seen[field] = true
          local total, names = string.match(text, '^(%d+)(.*)$')
          local n = math.min(count or tonumber(total), tonumber(total))
          if n < tonumber(total) then
            call('HSET', HOLDING, field, whole(total - n) .. names)
          else
            gone[#gone + 1] = field
          end
          for subject in string.gmatch(names, '%S+') do
            if not freed[subject] then order[#order + 1] = subject end
            freed[subject] = (freed[subject] or 0) + n
          end
        end
      end
    end
    each_bite('HDEL', HOLDING, gone)
    for _, subject in ipairs(order) do
      if call('HINCRBY', HELD, subject, -freed[subject]) <= 0 then call('HDEL', HELD, subject) end
      gauges[subject] = nil
      if string.find(subject, '^queue:') or call('ZSCORE', PARKED, subject) then drive(subject) end
    end
  end

  -- Of a group of tasks those that may go now; the others are parked.
  local function admit(place, ids, records)
    local kept_ids, kept_records = {}, {}
    for i, record in ipairs(records) do
      local found = gauges_of(place.queue, record)
      local n, shut = allowed(found, 1)
      if n > 0 then
        enter(ids[i], found, 1)
        kept_ids[#kept_ids + 1], kept_records[#kept_records + 1] = ids[i], record
      else
        park(place, ids[i], shut)
      end
    end
    return kept_ids, kept_records
  end

  local function queue_room(queue)
    local g = gauge('queue:' .. queue)
    return g and room(g) or math.huge
  end

  -- Whether a queue lets nothing more go; if so, idle workers hear when it does.
  local function queue_is_shut(queue, lists)
    local g = gauge('queue:' .. queue)
    if not g or room(g) > 0 then return false end
    local at = not is_full(g) and open_at(g, 0)
    if at and call('EXISTS', unpack(lists)) > 0 then note(g.subject, whole(at), queue) end
    return true
  end

  local function drive_due()
    for _, subject in ipairs(call('ZRANGEBYSCORE', PARKED, '-inf', now, 'LIMIT', 0, DRIVE_SUBJECTS)) do
      drive(subject)
    end
  end

  -- The next time at which somebody must look, or nil.
  local function next_at()
    local head = call('ZRANGE', PARKED, 0, 0, 'WITHSCORES')
    if head[2] and head[2] ~= 'inf' then return head[2] end
  end

  local function write_rate(g)
    if g.n == 0 or g.level == 0 then return end
    local text = whole(g.level) .. ' ' .. whole(now) .. ' ' .. whole(g.period)
    call('SET', rate_key(g.subject), text, 'PX', whole(math.ceil(g.level / g.n) + 1))
  end

  -- Brings the bucket of a subject up to date, before its limit changes and afterwards.
  local function refresh(subject)
    gauges[subject], kinds = nil, {}
    local g = gauge(subject)
    if g then write_rate(g) end
  end

  -- Writes what the call has used. Its last word: nothing is given out after it.
  local function flush()
    for g in pairs(used) do
      write_rate(g)
      if g.most > 0 then call('HSET', HELD, g.subject, whole(g.held)) end
    end
    each_bite('HSET', HOLDING, holding)
    for place, by in pairs(moved) do call('HINCRBY', prefix .. 'chunks', place, by) end
  end

  gate_made = {
    gauge = gauge, room = room, is_full = is_full, open_at = open_at, gauges_of = gauges_of, allowed = allowed, enter = enter, park = park, admit = admit,
    drive = drive, drive_due = drive_due, give_back = give_back, queue_room = queue_room,
    queue_is_shut = queue_is_shut, next_at = next_at, refresh = refresh,
    flush = flush,
  }
  return gate_made
end

-- What was in flight under these names is not any more; of a run `count` chunks.
local holders
local function give_back_places(fields, count)
  if holders == nil then holders = call('EXISTS', HOLDING) == 1 end
  if holders then gate().give_back(fields, count) end
end
