-- reclaim: the tasks of an expired lease go back. The lease is removed and its in-flight hash set
-- aside in one step; from that instant every late completion under it is stale. The hash is then
-- emptied in bounded bites.
--
-- A delivery that ended with a lost worker counts as a crash. After the first one the task goes
-- back to the front of its list. From the second on it is a suspect: a worker holds at most one
-- suspect at a time, so that a poisonous task kills only its own worker and is known by it, and
-- those that merely ran beside it are cleared. At the limit it is dead.

-- The way back of what a lost worker held; made only when there is something to reclaim. `host`: its
-- machine, if that is known.
local function way_back(host)
  local S = settle()

  -- The evidence: which workers were lost with it, as far as its history (`text`) reaches back.
  local function crash_failure(crashes, text)
    local workers = {}
    for worker, rest in string.gmatch(text, '"outcome":"lost","worker":"([^"]+)"([^\n]*)') do
      local on = string.match(rest, '^,"host":"([^"]+)"')
      workers[#workers + 1] = worker .. (on and ' on ' .. on or '')
    end
    return '{"kind":"crashed","message":"the worker that ran this was lost ' .. crashes
      .. ' times: ' .. table.concat(workers, ', ', math.max(1, #workers - 9)) .. '","fingerprint":"crashed"}'
  end

  -- `names`: of the task and its queue, as fields of the outcome.
  local function crash_outcome(names, failure, lease, attempt, text, now)
    return '{"v":1,"state":"failed"' .. names .. ',"error":' .. failure .. ',"attempt":' .. attempt
      .. ',"worker":"' .. lease .. '","ended":' .. now .. ',"attempts":' .. S.history_json(text) .. '}'
  end

  local function lost_entry(attempt, lease, claimed, now)
    local on = host and ',"host":' .. cjson.encode(host) or ''
    return '{"attempt":' .. attempt .. ',"outcome":"lost","worker":"' .. lease .. '"' .. on .. ',"claimed":' .. claimed
      .. ',"ended":' .. now .. '}'
  end

  local function put_back(queue, priority, element, suspect)
    if suspect then
      call('LPUSH', suspects_key(queue), priority .. ':' .. element)
    else
      push_front(queue, priority, element)
    end
    ring(queue)
  end

  -- One task, or one chunk that goes its own way.
  local function reclaim_one(id, attempt, claimed, priority, queue, lease, limit, now)
    local job, index = string.match(id, '^(%x+):(%d+)$')
    local key, field = HISTORY, id
    if job then
      if call('HGET', job_key(job), 'state') ~= 'running' then return end
      key, field = job_history_key(job), index
    elseif call('HEXISTS', TASKS, id) == 0 then
      return
    end
    local text = call('HGET', key, field)
    local failures, crashes = history_counts(text)
    crashes = crashes + 1
    text = S.history_add(text, failures, crashes, lost_entry(attempt, lease, claimed, now))
    if not job and ends_as_cancelled(id, text, now) then return end
    if crashes < limit then
      call('HSET', key, field, text)
      put_back(queue, priority, id, crashes >= 2)
    else
      if job then
        text = losses().with(text, job, tonumber(index))
        crashes = select(2, history_counts(text))
      end
      local failure = crash_failure(crashes, text)
      if job then
        call('HSET', key, field, text)
        S.fail_chunk(job, index, id, crash_outcome('', failure, lease, attempt, text, now), failure,
          { priority = priority, queue = queue }, now)
      else
        local keep, names = S.terms_of_end(id, call('HGET', TASKS, id))
        S.fail_task(id, crash_outcome(names, failure, lease, attempt, text, now), failure, keep, now)
      end
    end
  end

  -- A run of a range. What of it is settled is skipped when it is claimed again.
  local function reclaim_run(element, attempt, claimed, priority, queue, lease, limit, now)
    local job, lo, hi = range_of(element)
    if call('HGET', job_key(job), 'state') ~= 'running' then return end
    local crashes = attempt
    -- With a limit of one, the guilty chunk must be found at once.
    local suspect = crashes >= math.min(2, limit)
    if hi - lo > 1 then
      put_back(queue, priority, range_element(job, lo, hi, math.min(crashes, limit - 1)), suspect)
    elseif call('GETBIT', done_key(job), lo) == 0 and call('GETBIT', out_key(job), lo) == 0 then
      if crashes < limit then
        put_back(queue, priority, range_element(job, lo, hi, crashes), suspect)
      else
        local id, number = string.format('%s:%.0f', job, lo), string.format('%.0f', lo)
        local text = losses().with(call('HGET', job_history_key(job), number), job, lo, crashes)
        call('HSET', job_history_key(job), number, text)
        local _, lost = history_counts(text)
        local failure = crash_failure(lost, text)
        S.fail_chunk(job, number, id, crash_outcome('', failure, lease, attempt, text, now), failure,
          { priority = priority, queue = queue }, now)
      end
    end
  end

  -- What a lost worker had left of a run: without the chunks that it had handed back. The last
  -- piece comes first, as all that goes to the front.
  local function pieces_of(element, handed_back)
    if handed_back == '' then return { element } end
    local job, lo, hi = range_of(element)
    local spans, pieces = {}, {}
    for from, to in string.gmatch(handed_back, '(%d+)%-(%d+)') do
      spans[#spans + 1] = { tonumber(from), tonumber(to) }
    end
    table.sort(spans, function(a, b) return a[1] > b[1] end)
    for _, span in ipairs(spans) do
      if span[2] < hi then pieces[#pieces + 1] = range_element(job, span[2], hi, 0) end
      hi = span[1]
    end
    if lo < hi then pieces[#pieces + 1] = range_element(job, lo, hi, 0) end
    return pieces
  end

  -- An entry of an in-flight hash.
  return function(field, value, lease, limit, now)
    local attempt, claimed, priority, queue, handed_back =
      string.match(value, '^(%d+):(%d+):(%d):([^:]+):?%d*(.*)$')
    attempt = tonumber(attempt)
    local job = range_of(field)
    if job then
      local pieces = pieces_of(field, handed_back)
      if #pieces > 0 and call('HGET', job_key(job), 'state') == 'running' then
        losses().note(pieces, lost_entry(attempt, lease, claimed, now))
      end
      for _, piece in ipairs(pieces) do
        reclaim_run(piece, attempt, claimed, priority, queue, lease, limit, now)
      end
    else
      reclaim_one(field, attempt, claimed, priority, queue, lease, limit, now)
    end
  end
end

-- What in-flight entries are sorted by: ids begin with their time, and chunks of one job go by
-- their number, not by its digits. No two are the same, so that the order is always the same.
local function order_of(field)
  local job, lo = string.match(field, '^(%x+):(%d+)')
  return job and string.format('%s:%012.0f %s', job, lo, field) or field
end

-- Empties up to `limit` entries of the first expired lease that was set aside. Returns how many,
-- and whether such a lease is left.
local function reclaim_bite(now, limit, crash_limit)
  local orphans = prefix .. 'orphans'
  local lease = call('LINDEX', orphans, 0)
  if not lease then return 0, false end
  local take_back = way_back(call('HGET', prefix .. 'hosts', lease))
  local key = prefix .. 'orphan:' .. lease
  local held = call('HRANDFIELD', key, limit, 'WITHVALUES')
  local entries, fields = {}, {}
  for i = 1, #held, 2 do
    fields[#fields + 1] = held[i]
    if held[i] ~= '#' then entries[#entries + 1] = { held[i], held[i + 1], order_of(held[i]) } end
  end
  -- Pushing the youngest first leaves the oldest in front.
  table.sort(entries, function(a, b) return a[3] > b[3] end)
  for _, entry in ipairs(entries) do
    take_back(entry[1], entry[2], lease, crash_limit, now)
  end
  each_bite('HDEL', key, fields)
  give_back_places(fields)
  if call('EXISTS', key) == 0 then
    call('LPOP', orphans)
    call('HDEL', prefix .. 'hosts', lease)
  end
  call('HINCRBY', STATS, 'reclaimed', #entries)
  return #entries, call('EXISTS', orphans) == 1
end

-- Sets aside at most one expired lease (never `own`) and puts back at most `limit` of what
-- expired leases held. `heads`: the two earliest leases with their deadlines. Returns how many
-- were put back, and whether more is left of such leases.
local function reclaim(now, own, heads, limit, crash_limit)
  for i = 1, #heads, 2 do
    local lease = heads[i]
    if lease ~= own and tonumber(heads[i + 1]) <= now then
      call('ZREM', LEASES, lease)
      call('DEL', prefix .. 'orders:' .. lease)
      if call('EXISTS', inflight_key(lease)) == 1 then
        call('RENAME', inflight_key(lease), prefix .. 'orphan:' .. lease)
        call('RPUSH', prefix .. 'orphans', lease)
      else
        call('HDEL', prefix .. 'hosts', lease)
      end
      break
    end
  end
  return reclaim_bite(now, limit, crash_limit)
end
