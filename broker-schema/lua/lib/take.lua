-- take: hands ready tasks to a lease: the body of `claim`, which `complete` runs as well.

-- How much upkeep one call may do on its way, so that its work stays bounded.
local PROMOTE_BITE = 100
local RECLAIM_BITE = 100
local EXPIRE_BITE = 100
local EXPIRE_BYTES = 65536
-- So many chunks are given at once however few are left.
local FAIR_LEAST = 4
-- Records are popped in growing bites, and no further once so many bytes are given: large ones must
-- not add up to a reply that takes seconds.
local FIRST_BITE = 16
local MOST_BYTES = 4194304

-- Ends up to `limit` tasks that expired before they were started. `head`: the first of them with
-- its time.
local function expire(now, head, limit)
  if not head[2] or tonumber(head[2]) > now then return end
  local bytes = 0
  for _, id in ipairs(call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, limit)) do
    -- Their records are read: of large ones fewer.
    if bytes > EXPIRE_BYTES then return end
    bytes = bytes + select(2, settle().expire_task(id, now))
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

  -- The description of a job, once in each reply: '' says that it was given before.
  local described = {}
  local function spec_once(catch, job)
    if described[job] then return '' end
    described[job] = true
    local spec = call('HGET', job_key(job), 'spec')
    -- '' would mean that it was given before; this is one that cannot be read.
    if not spec or spec == '' then spec = 'null' end
    catch.bytes = catch.bytes + #spec
    if catch.bytes > MOST_BYTES then catch.shared = true end
    return spec
  end

  -- What limits of names and tenants go by: members that lie in one range have them in common.
  local function record_at(job, index, graph)
    local record = graph and call('HGET', workflow().members_key(job), string.format('%.0f', index))
    return record or call('HGET', job_key(job), 'spec')
  end

  -- What is claimed of a paused job waits beside it, with its place, until it goes on.
  local function keep_back(place, element, job)
    call('RPUSH', job_key(job) .. ':parked', place.priority .. ':' .. place.queue .. ':' .. element)
    return 0
  end

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

  -- The records of members lo..hi of a workflow, and the end of them: of large ones fewer are read. '' for
  -- the chunks of other jobs. What has no record fails when it is read.
  local function records_of(job, lo, hi, bytes)
    if call('HEXISTS', job_key(job), 'graph') == 0 then return '', hi end
    local key, records, bite = workflow().members_key(job), {}, FIRST_BITE
    while lo < hi do
      local fields = {}
      for index = lo, math.min(lo + bite, hi) - 1 do fields[#fields + 1] = string.format('%.0f', index) end
      for _, record in ipairs(call('HMGET', key, unpack(fields))) do
        records[#records + 1] = record or ''
        if bytes then bytes = bytes + (record and #record or 0) end
      end
      lo = lo + #fields
      if bytes and bytes > MOST_BYTES then break end
      bite = math.min(bite * 4, 1000)
    end
    return records, lo, bytes
  end

  -- Of a workflow: members that are of no use any more, since their branch has failed, leave the range.
  -- Returns the first that is of use and the end of the stretch of such members from there.
  local function without_useless(job, lo, hi)
    if call('HEXISTS', job_key(job), 'catches') == 0 or call('HGET', job_key(job), 'failed') == '0' then return lo, hi end
    while lo < hi and workflow().is_of_no_use(job, lo) do lo = math.min(workflow().no_use_until(job, lo), hi) end
    for index = lo + 1, hi - 1 do
      if workflow().is_of_no_use(job, index) then return lo, index end
    end
    return lo, hi
  end

  -- A range gives up to `want` chunks off its front. Returns how many were taken, the element that
  -- is left of it, if any, and whether it was parked as it is.
  local function take_range(catch, place, element, want, now)
    local job, lo, hi, crashes = range_of(element)
    local state, speculate, graph, paused, total, done =
      unpack(call('HMGET', job_key(job), 'state', 'speculate', 'graph', 'paused', 'total', 'done'))
    if state ~= 'running' then return 0 end
    if paused then return keep_back(place, element, job) end
    local limits, shut = catch.gate and catch.gate.gauges_of(place.queue, record_at(job, lo, graph)), nil
    if limits then want, shut = catch.gate.allowed(limits, want) end
    if shut then
      catch.gate.park(place, element, shut)
      return 0, nil, true
    end
    -- What may be started twice is given out and told chunk by chunk: each counts by itself.
    -- Members of a workflow come in many ranges: of all that is left of it.
    local fair = speculate and 1 or fair_share(graph and math.max(total - done, hi - lo) or hi - lo)
    local checkpoints = job_checkpoints_key(job)
    local going_on = call('EXISTS', checkpoints) == 1
    if going_on then fair = math.min(fair, FIRST_BITE) end
    if fair < math.min(want, hi - lo) then catch.shared = true end
    local first, last = open_stretch(job, lo, hi, math.min(want, fair))
    if not first then return 0 end
    local rest
    local records = ''
    if graph then
      first, last = without_useless(job, first, last)
      if first == last then
        if last < hi then return 0, range_element(job, last, hi, crashes) end
        return 0
      end
      local bytes
      records, last, bytes = records_of(job, first, last, catch.bytes)
      catch.bytes = bytes
      if bytes > MOST_BYTES then catch.shared = true end
    end
    if last < hi then rest = range_element(job, last, hi, crashes) end
    -- The search was given up in the midst of settled chunks; the next one begins there.
    if last == first then return 0, rest end
    call('HSETNX', job_key(job), 'started', now)
    local field = range_element(job, first, last, 0)
    hold(catch, field, (crashes + 1) .. place.tail .. ':' .. (last - first))
    if limits then catch.gate.enter(field, limits, last - first) end
    if speculate then call('ZADD', job_running_key(job), now, first) end
    local runs = catch.runs
    local states = going_on and states_of(catch, checkpoints, first, last) or ''
    local text = crashes > 0 and losses().with(nil, job, first, crashes) or ''
    runs[#runs + 1] =
      { field, crashes + 1, place.queue, place.priority, spec_once(catch, job), text, states, records }
    return last - first, rest
  end

  -- One chunk that goes its own way. Returns 1, or 0 if its job is over or it was parked.
  local function take_chunk(catch, place, id)
    local job, index = string.match(id, '^(%x+):(%d+)$')
    if not job or tonumber(index) > MOST_BITS then return 0 end
    local state, graph, paused = unpack(call('HMGET', job_key(job), 'state', 'graph', 'paused'))
    if state ~= 'running' or call('GETBIT', done_key(job), index) == 1 then return 0 end
    if paused then
      keep_back(place, id, job)
      return 0
    end
    if graph and workflow().is_of_no_use(job, tonumber(index)) then return 0 end
    local text = call('HGET', job_history_key(job), index)
    local failures, crashes = history_counts(text)
    local attempt = failures + crashes + 1
    local limits = catch.gate and catch.gate.gauges_of(place.queue, record_at(job, index, graph))
    -- The retry of one start of it, while another one runs under this very name (see speculate): that
    -- one goes on, and a place is held for it once.
    if limits and #limits > 0 and call('HEXISTS', HOLDING, id) == 1 then return 0 end
    local shut = limits and select(2, catch.gate.allowed(limits, 1))
    if shut then
      catch.gate.park(place, id, shut)
      return 0
    end
    hold(catch, id, attempt .. place.tail .. ':1')
    if limits then catch.gate.enter(id, limits, 1) end
    local runs = catch.runs
    local states = states_of(catch, job_checkpoints_key(job), tonumber(index), index + 1)
    local records = records_of(job, tonumber(index), index + 1)
    runs[#runs + 1] =
      { id, attempt, place.queue, place.priority, spec_once(catch, job), text or '', states, records }
    return 1
  end

  chunks_made = { take_range = take_range, take_chunk = take_chunk, states_of = states_of, records_of = records_of }
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

-- Drops from a group what expired while it waited. What is begun does not expire any more, but what
-- is handed back before that does: hence the times of the others are returned, too.
local function without_expired(ids, records, now)
  local kept_ids, kept_records, expires = {}, {}, {}
  for i, score in ipairs(call('ZMSCORE', EXPIRY, unpack(ids))) do
    if score and tonumber(score) <= now then
      settle().expire_task(ids[i], now)
    else
      kept_ids[#kept_ids + 1], kept_records[#kept_records + 1] = ids[i], records[i]
      expires[ids[i]] = score
    end
  end
  return kept_ids, kept_records, expires
end

-- Notes a group of tasks of one place in flight. Returns their number.
local function hold_group(catch, place, ids, records, now)
  local expires
  if catch.may_expire and #ids > 0 then ids, records, expires = without_expired(ids, records, now) end
  if catch.gate then ids, records = catch.gate.admit(place, ids, records) end
  if #ids == 0 then return 0 end
  if expires then call('ZREM', EXPIRY, unpack(ids)) end
  if catch.locked then locks().began(ids) end
  local histories, inputs = column(HISTORY, ids), column(INPUTS, ids)
  local checkpoints = column(prefix .. 'checkpoints', ids)
  local held, n, first = catch.held, #catch.held, '1' .. place.tail
  for i, id in ipairs(ids) do
    local value = first
    if histories ~= '' and histories[i] ~= '' then
      local failures, crashes = history_counts(histories[i])
      value = (failures + crashes + 1) .. place.tail
    end
    if expires and expires[id] then value = value .. ':' .. expires[id] end
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

-- A turn: its tenant gives some of its tasks, a fair part of the room that is left, and goes to the
-- back while more of them wait. `others`: the elements that were popped and are not looked at yet.
local function take_turn(catch, place, element, room, others, now)
  local tenant = string.sub(element, 2)
  local share = math.max(math.floor(room / (1 + others + call('LLEN', place.list))), 1)
  local limit = catch.gate and catch.gate.gauge('tenant:' .. tenant)
  if limit then
    share = math.min(share, catch.gate.room(limit))
    if share == 0 then
      catch.gate.park(place, element, limit)
      return 0
    end
  end
  local key = turn_key(place.queue, place.priority, tenant)
  local popped = call('LPOP', key, share) or {}
  local more = call('EXISTS', key)
  if more == 1 then call('RPUSH', place.list, element) end
  count_chunks(place.queue, place.priority, 1 - more - #popped)
  if #popped == 0 then return 0 end
  local ids, records = {}, {}
  for i, record in ipairs(call('HMGET', TASKS, unpack(popped))) do
    if record then
      ids[#ids + 1], records[#records + 1] = popped[i], record
    else
      drop_over(popped[i])
    end
  end
  return hold_group(catch, place, ids, records, now)
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
      local taken, rest, parked = chunk_takers().take_range(catch, place, element, room, now)
      chunks = chunks + taken
      -- Where tenants take turns, a range does, too.
      if rest and is_fair(place.queue) then call('RPUSH', place.list, rest) else back[#back + 1] = rest end
      if not parked then
        count_chunks(place.queue, place.priority, (rest and extra_chunks(rest) or 0) - extra_chunks(element))
      end
    elseif string.sub(element, 1, 1) == '@' then
      chunks = chunks + take_turn(catch, place, element, room, #popped - i, now)
    else
      local taken = chunk_takers().take_chunk(catch, place, element)
      if taken == 0 then drop_over(element) end
      chunks = chunks + taken
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
    place.suspect = true
    local taken, rest
    if record then
      taken = hold_group(catch, place, { element }, { record }, now)
    elseif range_of(element) then
      taken, rest = chunk_takers().take_range(catch, place, element, 1, now)
      if rest then call('LPUSH', suspects_key(queue), priority .. ':' .. rest) end
    else
      taken = chunk_takers().take_chunk(catch, place, element)
      if taken == 0 then drop_over(element) end
    end
    if taken > 0 then return taken end
  end
  ring(queue)
  return 0
end

-- When an idle worker must look again: the next due, expiring or reclaimable thing. One worker
-- watches each moment; the others come a little later, in case that one is gone by then.
local function next_event(lease, now, delayed, expiring, leases, unfinished, parked)
  local at
  local function earlier(time)
    time = tonumber(time)
    if time and (not at or time < at) then at = time end
  end
  earlier(delayed[2])
  earlier(expiring[2])
  earlier(parked)
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

-- The queues without those that are paused (see control): of these nothing is given, also no suspect,
-- and nobody is woken.
local function without_paused(queues)
  local controls = prefix .. 'controls'
  if #queues == 0 or call('EXISTS', controls) == 0 then return queues end
  local open = {}
  for i, flags in ipairs(call('HMGET', controls, unpack(queues))) do
    if not flags or not string.find(flags, 'p', 1, true) then open[#open + 1] = queues[i] end
  end
  return open
end

-- A worker may keep slots for some queues (see session for the form). First a group's own room is
-- used, then that of all.
local function room_in(rooms, queue) return rooms.own[rooms.group[queue]] + rooms.pool end

local function use_room(rooms, queue, taken)
  local group = rooms.group[queue]
  local own = math.min(rooms.own[group], taken)
  rooms.own[group] = rooms.own[group] - own
  rooms.pool = rooms.pool - (taken - own)
end

-- Upkeep in small bites, then up to `args.want` tasks and chunks for the lease, whose call this is.
-- reply: groups, runs, time of the next event (0: none known), whether this worker watches it,
-- how many of what is given are suspects, when the next schedule is due (0: none, or not looked)
local function take(args, now)
  local lease, want, queues = args.lease, args.want, without_paused(args.queues)
  local delayed, expiring, leases = first(DELAYED, 0), first(EXPIRY, 0), first(LEASES, 1)
  local promoted = promote(now, delayed, PROMOTE_BITE)
  local _, unfinished = reclaim(now, lease, leases, RECLAIM_BITE, args.crash_limit)
  expire(now, expiring, EXPIRE_BITE)
  local gated = limited() and gate()
  if gated and want > 0 then gated.drive_due() end
  local catch = { groups = {}, runs = {}, held = {}, bytes = 0, may_expire = expiring[1] ~= nil,
    gate = gated, locked = want > 0 and call('EXISTS', prefix .. 'locks') == 1 }
  local taken = 0
  if want > 0 and args.suspect then
    for _, queue in ipairs(queues) do
      local shut = gated and gated.queue_room(queue) < 1
      if taken == 0 and not shut then taken = take_suspect(catch, queue, now) end
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
    local room, got = want - taken, 0
    if args.rooms then room = math.min(room, room_in(args.rooms, queue)) end
    if gated then room = math.min(room, gated.queue_room(queue)) end
    if room > 0 then got = take_queue(catch, queue, lists, room, now) end
    taken = taken + got
    if args.rooms then use_room(args.rooms, queue, got) end
    local shut = gated and gated.queue_is_shut(queue, lists)
    if (got >= room or catch.shared) and not shut and call('EXISTS', unpack(lists)) > 0 then ring(queue) end
  end
  -- The number comes last: whatever a foreign hand has called a task, it is what counts.
  hold(catch, '#', args.number)
  each_bite('HSET', inflight_key(lease), catch.held)
  if gated then gated.flush() end
  if taken >= want or catch.shared then
    -- This worker will not watch for what it has parked: somebody who idles must.
    if gated and gated.news then ring(gated.news) end
    return catch.groups, catch.runs, 0, 0, suspects, 0
  end
  -- What was due has been moved: look for what comes after it.
  if promoted > 0 then delayed = first(DELAYED, 0) end
  local at, watching = next_event(lease, now, delayed, expiring, leases, unfinished, gated and gated.next_at())
  -- Only those with time to spare are told of schedules; the others ask now and then (see due).
  local schedule = first(prefix .. 'schedules:due', 0)[2] or 0
  return catch.groups, catch.runs, at, watching, suspects, schedule
end
