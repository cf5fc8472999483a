-- take: hands ready tasks to a lease: the body of `claim`, which `complete` runs as well.

-- How much upkeep one call may do on its way, so that its work stays bounded.
local PROMOTE_BITE = 100
local RECLAIM_BITE = 100
local EXPIRE_BITE = 100
-- So many chunks are given at once however few are left.
local FAIR_LEAST = 4
-- Records are popped in growing bites, and no further once so many bytes are given: large ones must
-- not add up to a reply that takes seconds.
local FIRST_BITE = 16
local MOST_BYTES = 4194304

local function expire_task(id, now)
  call('ZREM', EXPIRY, id)
  if call('HDEL', TASKS, id) == 1 then
    settle().forget({ id })
    call('HINCRBY', STATS, 'expired', 1)
    settle().keep_outcome(id, '{"v":1,"state":"expired","ended":' .. now .. '}', KEEP_MS)
    settle().tell_watchers({ id })
  end
end

-- Ends up to `limit` tasks that expired before they were started. `head`: the first of them with
-- its time.
local function expire(now, head, limit)
  if not head[2] or tonumber(head[2]) > now then return end
  for _, id in ipairs(call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, limit)) do
    expire_task(id, now)
  end
end

-- Everything that is given in one call is collected in a `catch` and noted in flight at the end.
local function hold(catch, field, value)
  local held = catch.held
  held[#held + 1] = field
  held[#held + 1] = value
end

-- How chunks are taken: of a range, and those that go their own way. Made on the first use.
local chunks_made
local function chunk_takers()
  if chunks_made then return chunks_made end

  -- The first chunk in [lo, hi) that is neither settled nor out, and the end of the open stretch
  -- from there, at most `want` long. Bitmaps always have their full length (see enqueue_range).
  local function open_stretch(job, lo, hi, want)
    local maps = { done_key(job), out_key(job) }
    for _ = 1, 100 do
      local before = lo
      for _, map in ipairs(maps) do
        if lo < hi and call('GETBIT', map, lo) == 1 then
          lo = call('BITPOS', map, 0, lo, hi - 1, 'BIT')
          if lo < 0 then return nil end
        end
      end
      if lo == before then break end
    end
    if lo >= hi then return nil end
    local last = math.min(lo + want, hi)
    for _, map in ipairs(maps) do
      if call('BITCOUNT', map, lo, last - 1, 'BIT') > 0 then
        last = call('BITPOS', map, 1, lo, last - 1, 'BIT')
      end
    end
    return lo, last
  end

  -- How many chunks of so many that are left one claim may take: half of an even share, so that the
  -- last chunks are spread over all workers whatever they take (guided self-scheduling,
  -- Polychronopoulos and Kuck 1987). The others are woken for the rest.
  local function fair_share(left)
    return math.max(math.ceil(left / (2 * call('ZCARD', LEASES))), FAIR_LEAST)
  end

  -- The states that chunks lo..hi left behind, each behind its index; '' if there is none.
  local function states_of(catch, key, lo, hi)
    local states = {}
    for index = lo, hi - 1 do
      local number = string.format('%.0f', index)
      local state = call('HGET', key, number)
      if state then
        states[#states + 1], states[#states + 2] = number, state
        catch.bytes = catch.bytes + #state
      end
    end
    if catch.bytes > MOST_BYTES then catch.shared = true end
    return #states > 0 and states or ''
  end

  -- A range gives up to `want` chunks off its front. Returns how many were taken, and the element
  -- that is left of it, if any.
  local function take_range(catch, place, element, want, now)
    local job, lo, hi, crashes = range_of(element)
    local spec, state, speculate = unpack(call('HMGET', job_key(job), 'spec', 'state', 'speculate'))
    if state ~= 'running' then return 0 end
    -- What may be started twice is given out and told chunk by chunk: each counts by itself.
    local fair = speculate and 1 or fair_share(hi - lo)
    local checkpoints = job_checkpoints_key(job)
    local going_on = call('EXISTS', checkpoints) == 1
    if going_on then fair = math.min(fair, FIRST_BITE) end
    if fair < math.min(want, hi - lo) then catch.shared = true end
    local first, last = open_stretch(job, lo, hi, math.min(want, fair))
    if not first then return 0 end
    local rest
    if last < hi then rest = range_element(job, last, hi, crashes) end
    -- The search was given up in the midst of settled chunks; the next one begins there.
    if last == first then return 0, rest end
    call('HSETNX', job_key(job), 'started', now)
    local field = range_element(job, first, last, 0)
    hold(catch, field, (crashes + 1) .. place.tail .. ':' .. (last - first))
    if speculate then call('ZADD', job_running_key(job), now, first) end
    local runs = catch.runs
    local states = going_on and states_of(catch, checkpoints, first, last) or ''
    runs[#runs + 1] = { field, crashes + 1, place.queue, place.priority, spec, '', states }
    return last - first, rest
  end

  -- One chunk that goes its own way. Returns 1, or 0 if its job is over.
  local function take_chunk(catch, place, id)
    local job, index = string.match(id, '^(%x+):(%d+)$')
    if not job then return 0 end
    local spec, state = unpack(call('HMGET', job_key(job), 'spec', 'state'))
    if state ~= 'running' or call('GETBIT', done_key(job), index) == 1 then return 0 end
    local text = call('HGET', job_history_key(job), index)
    local failures, crashes = history_counts(text)
    local attempt = failures + crashes + 1
    hold(catch, id, attempt .. place.tail .. ':1')
    local runs = catch.runs
    local states = states_of(catch, job_checkpoints_key(job), tonumber(index), index + 1)
    runs[#runs + 1] = { id, attempt, place.queue, place.priority, spec, text or '', states }
    return 1
  end

  chunks_made = { take_range = take_range, take_chunk = take_chunk, states_of = states_of }
  return chunks_made
end

-- Extra columns of a group of tasks (earlier attempts, inputs, states): '' when none of them has any.
local function column(key, ids)
  if call('HLEN', key) == 0 then return '' end
  local found, any = call('HMGET', key, unpack(ids)), false
  for i, text in ipairs(found) do
    if text then any = true else found[i] = '' end
  end
  return any and found or ''
end

-- Drops from a group what expired while it waited; from now on the others cannot expire.
local function without_expired(ids, records, now)
  local kept_ids, kept_records = {}, {}
  for i, score in ipairs(call('ZMSCORE', EXPIRY, unpack(ids))) do
    if score and tonumber(score) <= now then
      expire_task(ids[i], now)
    else
      if score then call('ZREM', EXPIRY, ids[i]) end
      kept_ids[#kept_ids + 1], kept_records[#kept_records + 1] = ids[i], records[i]
    end
  end
  return kept_ids, kept_records
end

-- Notes a group of tasks of one place in flight. Returns their number.
local function hold_group(catch, place, ids, records, now)
  if catch.may_expire and #ids > 0 then ids, records = without_expired(ids, records, now) end
  if #ids == 0 then return 0 end
  local histories, inputs = column(HISTORY, ids), column(INPUTS, ids)
  local checkpoints = column(prefix .. 'checkpoints', ids)
  local held, n, first = catch.held, #catch.held, '1' .. place.tail
  for i, id in ipairs(ids) do
    local value = first
    if histories ~= '' and histories[i] ~= '' then
      local failures, crashes = history_counts(histories[i])
      value = (failures + crashes + 1) .. place.tail
    end
    held[n + 1], held[n + 2] = id, value
    n = n + 2
  end
  local bytes = catch.bytes
  for i = 1, #records do bytes = bytes + #records[i] end
  if checkpoints ~= '' then
    for i = 1, #ids do bytes = bytes + #checkpoints[i] end
  end
  catch.bytes = bytes
  if bytes > MOST_BYTES then catch.shared = true end
  local groups = catch.groups
  groups[#groups + 1] = { place.queue, place.priority, ids, records, histories, inputs, checkpoints }
  return #ids
end

local function all_there(values)
  for i = 1, #values do
    if not values[i] then return false end
  end
  return true
end

-- Takes what fits out of `popped`; what does not goes back to the front in its order, the rest of
-- a range included. An id without a record was cancelled and is dropped. Returns how many tasks
-- and chunks were taken.
local function take_elements(catch, place, popped, want, now)
  local found = call('HMGET', TASKS, unpack(popped))
  if all_there(found) then return hold_group(catch, place, popped, found, now) end
  local ids, records, back, chunks = {}, {}, {}, 0
  for i, element in ipairs(popped) do
    -- What stands behind a range that is shared must not overtake its rest.
    local room = catch.shared and 0 or want - chunks - #ids
    if room <= 0 then
      back[#back + 1] = element
    elseif found[i] then
      ids[#ids + 1], records[#records + 1] = element, found[i]
    elseif range_of(element) then
      local taken, rest = chunk_takers().take_range(catch, place, element, room, now)
      chunks = chunks + taken
      back[#back + 1] = rest
      count_chunks(place.queue, place.priority, (rest and extra_chunks(rest) or 0) - extra_chunks(element))
    else
      chunks = chunks + chunk_takers().take_chunk(catch, place, element)
    end
  end
  for i = #back, 1, -1 do call('LPUSH', place.list, back[i]) end
  return chunks + hold_group(catch, place, ids, records, now)
end

local function place_at(queue, priority, now)
  local list = ready_key(queue, priority)
  return {
    queue = queue,
    priority = priority,
    list = list,
    tail = ':' .. now .. ':' .. priority .. ':' .. queue,
  }
end

-- The lists of a queue, higher priorities first.
local function ready_keys(queue)
  local stem = prefix .. 'ready:' .. queue .. ':'
  return { stem .. 9, stem .. 8, stem .. 7, stem .. 6, stem .. 5, stem .. 4, stem .. 3, stem .. 2, stem .. 1, stem .. 0 }
end

-- Takes up to `want` from one queue, higher priorities first. What was cancelled is skipped, but
-- only so much of it in one call.
local function take_queue(catch, queue, lists, want, now)
  local taken, skips, bite = 0, 1000, FIRST_BITE
  while taken < want and skips > 0 and not catch.shared do
    local popped = call('LMPOP', 10, lists[1], lists[2], lists[3], lists[4], lists[5], lists[6], lists[7], lists[8],
      lists[9], lists[10], 'LEFT', 'COUNT', math.min(want - taken, bite))
    if not popped then break end
    local got = take_elements(catch, place_at(queue, string.sub(popped[1], -1), now), popped[2], want - taken, now)
    taken = taken + got
    skips = skips - math.max(#popped[2] - got, 0)
    bite = math.min(bite * 4, 1000)
  end
  -- Somebody must go on where this call gave up.
  if taken < want and skips <= 0 then ring(queue) end
  return taken
end

-- Takes one suspect (see reclaim) of a queue, alone and before everything else. What is over by
-- now is skipped, but only so much of it in one call.
local function take_suspect(catch, queue, now)
  for _ = 1, 100 do
    local entry = call('LPOP', suspects_key(queue))
    if not entry then return 0 end
    local priority, element = string.match(entry, '^(%d):(.+)$')
    local place, record = place_at(queue, priority, now), call('HGET', TASKS, element)
    local taken, rest
    if record then
      taken = hold_group(catch, place, { element }, { record }, now)
    elseif range_of(element) then
      taken, rest = chunk_takers().take_range(catch, place, element, 1, now)
      if rest then call('LPUSH', suspects_key(queue), priority .. ':' .. rest) end
    else
      taken = chunk_takers().take_chunk(catch, place, element)
    end
    if taken > 0 then return taken end
  end
  ring(queue)
  return 0
end

-- When an idle worker must look again: the next due, expiring or reclaimable thing. One worker
-- watches each moment; the others come a little later, in case that one is gone by then.
local function next_event(lease, now, delayed, expiring, leases, unfinished)
  local at
  local function earlier(time)
    time = tonumber(time)
    if time and (not at or time < at) then at = time end
  end
  earlier(delayed[2])
  earlier(expiring[2])
  earlier(leases[1] ~= lease and leases[2] or leases[4])
  -- An expired lease that is not empty yet.
  if unfinished then earlier(now) end
  if not at then return 0, 0 end
  local watch = prefix .. 'watch'
  local watched, by = string.match(call('GET', watch) or '', '^(%d+):(.+)$')
  watched = tonumber(watched)
  if by == lease and watched == at then return at, 1 end
  if by and by ~= lease and watched <= at then return at, 0 end
  call('SET', watch, string.format('%.0f', at) .. ':' .. lease, 'PXAT', string.format('%.0f', math.max(at, now) + 50))
  return at, 1
end

local function first(key, last) return call('ZRANGE', key, 0, last, 'WITHSCORES') end

-- Upkeep in small bites, then up to `args.want` tasks and chunks for the lease, whose call this is.
-- reply: groups, runs, time of the next event (0: none known), whether this worker watches it,
-- how many of what is given are suspects
local function take(args, now)
  local lease, want, queues = args.lease, args.want, args.queues
  local delayed, expiring, leases = first(DELAYED, 0), first(EXPIRY, 0), first(LEASES, 1)
  local promoted = promote(now, delayed, PROMOTE_BITE)
  local _, unfinished = reclaim(now, lease, leases, RECLAIM_BITE, args.crash_limit)
  expire(now, expiring, EXPIRE_BITE)
  local catch = { groups = {}, runs = {}, held = { '#', args.number }, bytes = 0, may_expire = expiring[1] ~= nil }
  local taken = 0
  if want > 0 and args.suspect then
    for _, queue in ipairs(queues) do
      if taken == 0 then taken = take_suspect(catch, queue, now) end
    end
  end
  local suspects = taken
  for _, queue in ipairs(queues) do
    -- Others may take the next suspects; this worker has its one.
    if (suspects > 0 or not args.suspect) and call('EXISTS', suspects_key(queue)) == 1 then ring(queue) end
  end
  -- Nothing is put beside a suspect.
  if suspects > 0 then want = taken end
  for _, queue in ipairs(queues) do
    local lists = ready_keys(queue)
    if taken < want then taken = taken + take_queue(catch, queue, lists, want - taken, now) end
    if (taken >= want or catch.shared) and call('EXISTS', unpack(lists)) > 0 then ring(queue) end
  end
  each_bite('HSET', inflight_key(lease), catch.held)
  if taken >= want or catch.shared then return catch.groups, catch.runs, 0, 0, suspects end
  -- What was due has been moved: look for what comes after it.
  if promoted > 0 then delayed = first(DELAYED, 0) end
  local at, watching = next_event(lease, now, delayed, expiring, leases, unfinished)
  return catch.groups, catch.runs, at, watching, suspects
end
