-- endings: all ends of attempts but plain success: retries, failures, releases, and all of chunks.

-- Applies the endings of ARGV from `at` on, for the lease that holds `inflight`. Appends what was
-- not held to `stale`, and chunks whose numbers do not fit to `refused`.
local function apply_endings(at, inflight, now, stale, refused)
  -- The place a held task came from, and when it expires or ''; or nil (noted as stale).
  local function place_of(id)
    local value = call('HGET', inflight, id)
    if not value then
      stale[#stale + 1] = id
      return nil
    end
    return string.match(value, '^%d+:%d+:(%d):([^:]+):?(%d*)')
  end

  local function wait_until_due(priority, queue, id, delay)
    if tonumber(delay) > 0 then
      call('ZADD', DELAYED, now + tonumber(delay), priority .. ':' .. queue .. ':' .. id)
    else
      push_back(queue, priority, id)
    end
    ring(queue)
  end

  local function retry(id, delay, entry)
    local priority, queue = place_of(id)
    if not priority then return end
    local text = call('HGET', HISTORY, id)
    local failures, crashes = history_counts(text)
    call('HDEL', inflight, id)
    text = settle().history_add(text, failures + 1, crashes, entry)
    if ends_as_cancelled(id, text, now) then return end
    give_back_places({ id })
    call('HSET', HISTORY, id, text)
    call('HINCRBY', STATS, 'retried', 1)
    wait_until_due(priority, queue, id, delay)
  end

  -- Later, as if it had not been delivered: what is known of it stays as it is.
  local function snooze(id, delay)
    local priority, queue = place_of(id)
    if not priority then return end
    call('HDEL', inflight, id)
    if ends_as_cancelled(id, call('HGET', HISTORY, id), now) then return end
    give_back_places({ id })
    call('HINCRBY', STATS, 'snoozed', 1)
    wait_until_due(priority, queue, id, delay)
  end

  local function fail(id, outcome, keep, failure)
    if not place_of(id) then return end
    call('HDEL', inflight, id)
    settle().fail_task(id, outcome, failure, keep, now)
  end

  local function cancel(id, outcome, keep)
    if not place_of(id) then return end
    call('HDEL', inflight, id)
    settle().cancel_task(id, outcome, keep, now)
  end

  -- To the front again; what was a suspect stays one.
  local function hand_back(queue, priority, element, crashes)
    if crashes >= 2 then
      call('LPUSH', suspects_key(queue), priority .. ':' .. element)
    else
      push_front(queue, priority, element)
    end
    ring(queue)
  end

  local function release(id, begun)
    local priority, queue, expires = place_of(id)
    if not priority then return end
    call('HDEL', inflight, id)
    local text = call('HGET', HISTORY, id)
    if ends_as_cancelled(id, text, now) then return end
    give_back_places({ id })
    -- What has begun does not expire any more.
    if expires ~= '' and begun == '0' then call('ZADD', EXPIRY, expires, id) end
    local _, crashes = history_counts(text)
    hand_back(queue, priority, id, crashes)
  end

  -- A run in flight: its job and what is left of it. `n` chunks of it are about to leave. Nil (noted
  -- as stale) when it is not held, the chunks are not its own, or the job is over.
  local function run_of(field, lo, hi)
    local value = call('HGET', inflight, field)
    local run
    if value then
      local attempt, claimed, priority, queue, left, back =
        string.match(value, '^(%d+):(%d+):(%d):([^:]+):(%d+)(.*)$')
      local job, first, last = range_of(field)
      if not job then
        job, first = string.match(field, '^(%x+):(%d+)$')
        first = tonumber(first)
        last = first + 1
      end
      if lo >= first and hi <= last and lo < hi and tonumber(left) >= hi - lo then
        run = { field = field, job = job, claimed = tonumber(claimed), priority = priority, queue = queue,
          left = tonumber(left) - (hi - lo), gone = hi - lo, crashes = tonumber(attempt) - 1,
          whole = range_of(field) ~= nil, back = back,
          head = attempt .. ':' .. claimed .. ':' .. priority .. ':' .. queue .. ':' }
      end
    end
    if run and call('HGET', job_key(run.job), 'state') ~= 'running' then
      call('HDEL', inflight, field)
      give_back_places({ field })
      run = nil
    end
    if not run then stale[#stale + 1] = field end
    return run
  end

  local function let_go(run)
    give_back_places({ run.field }, run.gone)
    if run.left == 0 then
      call('HDEL', inflight, run.field)
    else
      call('HSET', inflight, run.field, run.head .. run.left .. run.back)
    end
  end

  -- Redis adds 64-bit integers exactly, but fails in mid-write when they overflow or meet another
  -- number; so look before. An integer that meets another number is added as one of those.
  local EXACT = 4611686018427387904
  -- A map of numbers may have so many keys, all maps of a job together.
  local MOST_KEYS = 1000
  local function would_overflow(key, deltas)
    for i = 1, #deltas, 3 do
      if string.find(deltas[i + 1], ':', 1, true) and call('HLEN', key) > MOST_KEYS
        and call('HEXISTS', key, 'acc:' .. deltas[i + 1]) == 0 then return true end
      if deltas[i] == 'sum' then
        local text = call('HGET', key, 'acc:' .. deltas[i + 1]) or '0'
        local old = tonumber(text)
        -- No sum of integers is beyond the limit.
        if string.find(text, '[^%-%d]') or math.abs(old) >= EXACT then
          deltas[i] = 'sumf'
        elseif math.abs(old + tonumber(deltas[i + 2])) >= EXACT then
          return true
        end
      end
    end
    return false
  end

  local function accumulate(key, deltas)
    for i = 1, #deltas, 3 do
      local op, field, number = deltas[i], 'acc:' .. deltas[i + 1], deltas[i + 2]
      if op == 'sum' then
        call('HINCRBY', key, field, number)
      elseif op == 'sumf' then
        call('HINCRBYFLOAT', key, field, number)
      else
        local old = tonumber(call('HGET', key, field))
        local new = tonumber(number)
        if not old or (op == 'min' and new < old) or (op == 'max' and new > old) then
          call('HSET', key, field, number)
        end
      end
    end
  end

  -- The states of chunks that need them no more.
  local has_states = {}
  local function drop_states(job, lo, hi)
    local key = job_checkpoints_key(job)
    if has_states[job] == nil then has_states[job] = call('EXISTS', key) == 1 end
    if not has_states[job] then return end
    for index = lo, hi - 1 do call('HDEL', key, string.format('%.0f', index)) end
  end

  -- Those who watch how far a job is are told, once (see completed).
  local function tell_progress(job)
    local field = job .. ':p'
    if call('HEXISTS', prefix .. 'watchers', field) == 1 then settle().tell_watchers({ field }) end
  end

  local function chunks_succeed(field, lo, hi, deltas)
    local run = run_of(field, lo, hi)
    if not run then return end
    local key, done = job_key(run.job), done_key(run.job)
    local total, speculate = unpack(call('HMGET', key, 'total', 'speculate'))
    if call('BITCOUNT', done, lo, hi - 1, 'BIT') > 0 then
      stale[#stale + 1] = field
      -- Another start of it was quicker.
      if speculate then let_go(run) end
      return
    end
    if would_overflow(key, deltas) then
      refused[#refused + 1] = field
      return
    end
    let_go(run)
    set_bits(done, lo, hi)
    drop_states(run.job, lo, hi)
    accumulate(key, deltas)
    call('HINCRBY', STATS, 'succeeded', hi - lo)
    local settled = call('HINCRBY', key, 'done', hi - lo)
    if speculate then
      call('HINCRBY', key, 'took', now - run.claimed)
      call('ZREM', job_running_key(run.job), lo)
    end
    if settled == tonumber(total) then settle().open_barrier(run.job, now) end
    tell_progress(run.job)
  end

  -- The same of members with records of their own, which others wait for, but for these others. `results`:
  -- index, result as it is stored, … of those whose results are kept. `spawn`: what the one member adds to its
  -- job. Returns the run; nil if nothing was done.
  local function members_settle(field, lo, hi, results, deltas, spawn)
    local run = run_of(field, lo, hi)
    if not run then return nil end
    local key, done = job_key(run.job), done_key(run.job)
    if call('BITCOUNT', done, lo, hi - 1, 'BIT') > 0 then
      stale[#stale + 1] = field
      return nil
    end
    if would_overflow(key, deltas) or spawn and not workflow().may_grow(run.job, spawn.members, spawn.depth) then
      refused[#refused + 1] = field
      return nil
    end
    let_go(run)
    set_bits(done, lo, hi)
    drop_states(run.job, lo, hi)
    accumulate(key, deltas)
    local gone = {}
    for index = lo, hi - 1 do gone[#gone + 1] = string.format('%.0f', index) end
    each_bite('HDEL', workflow().members_key(run.job), gone)
    each_bite('HSET', workflow().results_key(run.job), results)
    call('HINCRBY', STATS, 'succeeded', hi - lo)
    call('HINCRBY', key, 'done', hi - lo)
    return run
  end

  local function members_succeed(field, lo, hi, results, deltas)
    local run = members_settle(field, lo, hi, results, deltas)
    if not run then return end
    workflow().succeeded(run.job, lo, hi, run, now)
    tell_progress(run.job)
  end

  -- A member succeeded and adds others to its job: both, or neither of it. `first`, `last`: what is added,
  -- in ARGV.
  local function member_spawns(field, index, result, deltas, spawn, first, last)
    local results = result ~= '' and { string.format('%.0f', index), result } or {}
    local run = members_settle(field, index, index + 1, results, deltas, spawn)
    if not run then return end
    workflow().spawned(run.job, index, spawn, first, last, run, now)
    tell_progress(run.job)
  end

  -- The chunk leaves its range, if it is in one, and goes its own way from here.
  local function go_out(run, index)
    let_go(run)
    if run.whole then
      local out = out_key(run.job)
      -- Full length from the start, as `done` (see enqueue_range).
      if call('EXISTS', out) == 0 then call('SETBIT', out, call('HGET', job_key(run.job), 'total') - 1, 0) end
      call('SETBIT', out, index, 1)
    end
  end

  -- The history of a chunk as it leaves its run, if it is in one: it takes the losses of the run along,
  -- which are counted in the element of the run.
  local function told_of(run, index, text)
    return losses().with(text, run.job, index, run.whole and run.crashes or 0)
  end

  local function chunk_retries(field, index, delay, entry)
    local run = run_of(field, index, index + 1)
    if not run then return end
    go_out(run, index)
    local key, number = job_history_key(run.job), string.format('%.0f', index)
    call('ZREM', job_running_key(run.job), number)
    local text = told_of(run, index, call('HGET', key, number))
    local failures, crashes = history_counts(text)
    call('HSET', key, number, settle().history_add(text, failures + 1, crashes, entry))
    call('HINCRBY', job_key(run.job), 'retried', 1)
    call('HINCRBY', STATS, 'retried', 1)
    wait_until_due(run.priority, run.queue, run.job .. ':' .. number, delay)
  end

  local function chunk_snoozes(field, index, delay)
    local run = run_of(field, index, index + 1)
    if not run then return end
    go_out(run, index)
    local key, number = job_history_key(run.job), string.format('%.0f', index)
    if run.whole and run.crashes > 0 then call('HSETNX', key, number, told_of(run, index)) end
    call('HINCRBY', STATS, 'snoozed', 1)
    wait_until_due(run.priority, run.queue, run.job .. ':' .. number, delay)
  end

  local function chunk_fails(field, index, outcome, entry, failure)
    local run = run_of(field, index, index + 1)
    if not run then return end
    let_go(run)
    local key, number = job_history_key(run.job), string.format('%.0f', index)
    local text = told_of(run, index, call('HGET', key, number))
    local failures, crashes = history_counts(text)
    call('HSET', key, number, settle().history_add(text, failures + 1, crashes, entry))
    settle().fail_chunk(run.job, number, run.job .. ':' .. number, outcome, failure, run, now)
  end

  -- Notes with a run which of its chunks were handed back: they must not come back once more if the
  -- worker is lost. Neighbours are noted as one; a worker hands back from the last one on.
  local function note_back(run, lo, hi)
    local rest, from, to = string.match(run.back, '^(.*):(%d+)%-(%d+)$')
    if tonumber(from) ~= hi then rest, to = run.back, hi end
    run.back = string.format('%s:%.0f-%.0f', rest, lo, to)
  end

  local function chunks_released(field, lo, hi)
    local run = run_of(field, lo, hi)
    if not run then return end
    note_back(run, lo, hi)
    let_go(run)
    if hi - lo == 1 then call('ZREM', job_running_key(run.job), lo) end
    if run.whole then
      hand_back(run.queue, run.priority, range_element(run.job, lo, hi, run.crashes), run.crashes)
    else
      local _, crashes = history_counts(call('HGET', job_history_key(run.job), string.format('%.0f', lo)))
      hand_back(run.queue, run.priority, field, crashes)
    end
  end

  -- The next argument, as text or as a number.
  local function text()
    at = at + 1
    return ARGV[at - 1]
  end
  local function number() return tonumber(text()) end

  while ARGV[at] do
    local tag = text()
    if tag == 'R' then
      retry(text(), text(), text())
    elseif tag == 'F' then
      fail(text(), text(), text(), text())
    elseif tag == 'X' then
      cancel(text(), text(), text())
    elseif tag == 'L' then
      release(text(), text())
    elseif tag == 'Z' then
      snooze(text(), text())
    elseif tag == 'CS' then
      local field, lo, hi, count, deltas = text(), number(), number(), number(), {}
      for i = 1, 3 * count do deltas[i] = text() end
      chunks_succeed(field, lo, hi, deltas)
    elseif tag == 'MS' then
      local field, lo, hi, results, deltas = text(), number(), number(), {}, {}
      for i = 1, 2 * number() do results[i] = text() end
      for i = 1, 3 * number() do deltas[i] = text() end
      members_succeed(field, lo, hi, results, deltas)
    elseif tag == 'MN' then
      local field, index, result, deltas = text(), number(), text(), {}
      for i = 1, 3 * number() do deltas[i] = text() end
      local spawn = { members = number(), depth = number(), ends = number(), joined = text(), instead = text() }
      local count = number()
      member_spawns(field, index, result, deltas, spawn, at, at + count - 1)
      at = at + count
    elseif tag == 'CR' then
      chunk_retries(text(), number(), text(), text())
    elseif tag == 'CF' then
      chunk_fails(text(), number(), text(), text(), text())
    elseif tag == 'CL' then
      chunks_released(text(), number(), number())
    elseif tag == 'K' then
      -- What is not held is told of by the ending behind it.
      attempts().keep_state(inflight, text(), text(), text(), text())
    elseif tag == 'CZ' then
      chunk_snoozes(text(), number(), text())
    end
  end
end
