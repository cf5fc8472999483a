-- workflow: jobs whose chunks are members with records of their own, wired to one another.
--
-- job:<id>:members  hash: index → record, until the member has ended
-- job:<id>:spans    zset: `<lo>-<hi> <feeds> <catch>` by lo. feeds: what waits for these members, joined by
--                   commas: `e` the end of the job, a number: that barrier, `+d`: the barrier of the member
--                   that stands d behind each, which waits for it alone. catch: who takes a failure of one
--                   of them: `-` nobody (the job ends), `+d` the member at that distance, `=n` member n
-- job:<id>:graph    hash: m:<barrier> how many members it waits for; o:<barrier> what it opens for, joined
--                   by `;`: `<lo>-<hi>:<priority>:<queue>:<delay ms>`, or `v<index>`: a member that only
--                   stands for others; t:<barrier> how many more failures it tolerates;
--                   c:<index or nothing>:<when> callbacks.
--                   The barrier of the end is `e`
-- job:<id>:results  hash: index → `=` and the result, `!` and the failure, `@` and the shape of what it
--                   stands for
-- A barrier opens when the last of those that it waits for has settled; each settles once, since its bit in
-- job:<id>:done flips once, in the same script. Hence a barrier opens once.
-- job:<id>:begun    one bit per member: it is ready, or was; the others wait
-- job:<id>:data     hash: data that members share: name → number of pieces, `<name>:<n>` → piece
-- job:<id>:fed      list: `<barrier> <lo>-<hi>`: members that were added to the group before a barrier
-- Queues to which members were released in this call.
local to_ring = {}
local workflow_made
function workflow()
  if workflow_made then return workflow_made end
  local W = {}

  local function members_key(job) return job_key(job) .. ':members' end
  local function spans_key(job) return job_key(job) .. ':spans' end
  local function graph_key(job) return job_key(job) .. ':graph' end
  local function results_key(job) return job_key(job) .. ':results' end
  local function fed_key(job) return job_key(job) .. ':fed' end
  local function begun_key(job) return job_key(job) .. ':begun' end

  local function number(n) return string.format('%.0f', n) end

  -- The span of a member. The last one is remembered: members are mostly told in stretches.
  local known = {}
  local function span_of(job, index)
    local last = known[job]
    if last and last.lo <= index and index < last.hi then return last end
    local text = call('ZREVRANGEBYSCORE', spans_key(job), index, '-inf', 'LIMIT', 0, 1)[1]
    local lo, hi, feeds, catch = string.match(text or '', '^(%d+)%-(%d+) (%S+) (%S+)$')
    if not lo or tonumber(hi) <= index then return nil end
    last = { lo = tonumber(lo), hi = tonumber(hi), feeds = feeds, catch = catch }
    known[job] = last
    return last
  end

  -- Who takes the failure of a member; nil: nobody.
  local function catcher(span, index)
    if not span or span.catch == '-' then return nil end
    local form, n = string.match(span.catch, '^([+=])(%-?%d+)$')
    return form == '+' and index + tonumber(n) or tonumber(n)
  end

  -- A branch of a group that takes failures has failed when the member that takes them has settled before
  -- this one. What is left of the branch is of no use.
  function W.is_of_no_use(job, index)
    local catch = catcher(span_of(job, index), index)
    return catch ~= nil and catch ~= index and call('GETBIT', done_key(job), catch) == 1
  end

  -- Behind which member it is worth looking again: all those wired alike have the same one that takes failures.
  function W.no_use_until(job, index)
    local span = span_of(job, index)
    return span and string.sub(span.catch, 1, 1) == '=' and span.hi or index + 1
  end

  -- Members are ready, or will be.
  local function release(job, lo, hi, priority, queue, delay, now)
    local element = range_element(job, lo, hi, 0)
    set_bits(begun_key(job), lo, hi)
    if tonumber(delay) > 0 then
      -- A few go their own ways, so that each can be asked when it is due.
      local elements = { element }
      for index = lo, hi - lo <= 100 and hi - 1 or lo - 1 do elements[index - lo + 1] = job .. ':' .. number(index) end
      for _, each in ipairs(elements) do
        call('ZADD', DELAYED, now + tonumber(delay), priority .. ':' .. queue .. ':' .. each)
      end
      -- Somebody must know when it is due.
      ring(queue)
    else
      -- In a fair queue it takes turns as a range does, not as the tasks of a tenant.
      push_back(queue, priority, element)
      to_ring[queue] = true
    end
  end

  function W.release(job, base, text, now)
    local lo, hi, priority, queue, delay = string.match(text, '^(%d+)%-(%d+):(%d):([^:]+):(%d+)$')
    release(job, base + tonumber(lo), base + tonumber(hi), priority, queue, delay, now)
  end

  -- What ended, as callbacks are told of it.
  local function told_of(job, index, state, failure)
    return '{"id":"' .. job .. (index and ':' .. number(index) or '') .. '","job":"' .. job
      .. '","state":"' .. state .. '","error":' .. (failure or 'null') .. '}'
  end

  -- The callbacks of a member, or of the job, begin: tasks of their own, outside of the job.
  function W.call_back(job, index, state, failure)
    if call('HEXISTS', job_key(job), 'callbacks') == 0 then return end
    local told = told_of(job, index, state, failure)
    for _, when in ipairs({ state == 'succeeded' and 'succeeded' or 'failed', 'ended' }) do
      local field = 'c:' .. (index and number(index) or '') .. ':' .. when
      local stored = call('HGET', graph_key(job), field)
      if stored then
        call('HDEL', graph_key(job), field)
        for _, each in ipairs(cjson.decode(stored)) do
          local id, queue, priority, head, tail = unpack(each)
          local record = head .. told .. tail
          call('HSET', TASKS, id, record)
          push_back(queue, priority, id, record)
          call('HINCRBY', STATS, 'enqueued', 1)
          ring(queue)
        end
      end
    end
  end

  local arrive

  -- Members lo..hi of a span have settled: those that wait for them are told. `place`: where they came from.
  local function feed(job, span, lo, hi, place, now)
    for token in string.gmatch(span.feeds, '[^,]+') do
      if token == 'e' then
        arrive(job, 'e', hi - lo, nil, place, now)
      elseif string.sub(token, 1, 1) == '+' then
        local distance = tonumber(string.sub(token, 2))
        for index = lo, hi - 1 do arrive(job, number(index + distance), 1, 1, place, now) end
      else
        arrive(job, token, hi - lo, nil, place, now)
      end
    end
  end

  -- The result of a job whose last member has settled.
  local function outcome_of(job, now)
    local exit = call('HGET', job_key(job), 'exit')
    local value = string.match(exit, '^%d+$') and call('HGET', results_key(job), exit)
    if value and string.sub(value, 1, 1) == '=' then
      return '{"v":1,"state":"succeeded","result":' .. string.sub(value, 2) .. ',"ended":' .. now .. '}'
    end
    local names = string.match(exit, '^{"totals":(%[.*%])}$')
    if names then
      return '{"v":1,"state":"succeeded","result":' .. job_totals(job, cjson.decode(names))
        .. ',"ended":' .. now .. '}'
    end
    return '{"v":1,"state":"succeeded","members":' .. exit .. ',"ended":' .. now .. '}'
  end

  local function finish(job, now)
    local keep = call('HGET', job_key(job), 'keep') or KEEP_MS
    local outcome = outcome_of(job, now)
    settle().end_job(job, 'succeeded', now, keep)
    settle().keep_outcome(job, outcome, keep)
    settle().tell_watchers({ job })
  end

  -- A member that only stands for others is settled as soon as its turn has come.
  local function settle_stand_in(job, index, place, now)
    if call('SETBIT', done_key(job), index, 1) == 1 then return end
    call('HINCRBY', job_key(job), 'done', 1)
    feed(job, span_of(job, index), index, index + 1, place, now)
  end

  local function open(job, barrier, place, now)
    if barrier == 'e' then return finish(job, now) end
    local opens = call('HGET', graph_key(job), 'o:' .. barrier)
    local index = tonumber(barrier)
    if opens then call('HDEL', graph_key(job), 'o:' .. barrier, 't:' .. barrier) end
    if opens then
      for text in string.gmatch(opens, '[^;]+') do
        local stand_in = string.match(text, '^v(%d+)$')
        if stand_in then
          settle_stand_in(job, tonumber(stand_in), place, now)
        else
          W.release(job, 0, text, now)
        end
      end
    else
      release(job, index, index + 1, place.priority, place.queue, 0, now)
    end
  end

  -- So many of those that a barrier waits for have settled. `at_first`: how many it waits for, if that is
  -- nowhere written down.
  function arrive(job, barrier, n, at_first, place, now)
    local key, field = graph_key(job), 'm:' .. barrier
    local written = call('HGET', key, field)
    local missing = tonumber(written) or at_first
    -- It has opened, or will not open any more.
    if not missing then return end
    if missing > n then
      call('HSET', key, field, number(missing - n))
    else
      if written then call('HDEL', key, field) end
      open(job, barrier, place, now)
    end
  end

  -- Members lo..hi of a job have succeeded, and their bits have flipped.
  function W.succeeded(job, lo, hi, place, now)
    while lo < hi do
      local span = span_of(job, lo)
      -- Without its wires a job cannot go on: nothing of ours writes that.
      if not span then return end
      local till = math.min(hi, span.hi)
      if call('HEXISTS', job_key(job), 'callbacks') == 1 then
        for index = lo, till - 1 do W.call_back(job, index, 'succeeded') end
      end
      feed(job, span, lo, till, place, now)
      lo = till
    end
  end

  -- The failure of a member (its bit has flipped) reaches who takes it, who may pass it on. False: nobody
  -- takes it; `undo` tells then what a retry of the job takes back: bits (d), results (r), what barriers miss (m).
  function W.failed(job, index, failure, place, now, undo)
    local span
    while true do
      span = span_of(job, index)
      local catch = catcher(span, index)
      if not catch then return false end
      if catch == index then break end
      if call('SETBIT', done_key(job), catch, 1) == 1 then return true end
      call('HINCRBY', job_key(job), 'skipped', 1)
      undo[#undo + 1] = 'd' .. number(catch)
      index = catch
    end
    -- What it stands for is kept, in case the job is tried again.
    local before = call('HGET', results_key(job), number(index))
    if before then call('HSET', results_key(job), 's' .. number(index), before) end
    call('HSET', results_key(job), number(index), '!' .. failure)
    undo[#undo + 1] = 'r' .. number(index)
    for token in string.gmatch(span.feeds, '[^,]+') do
      local barrier = token
      if string.sub(token, 1, 1) == '+' then barrier = number(index + tonumber(string.sub(token, 2))) end
      local tolerates = call('HGET', graph_key(job), 't:' .. barrier)
      if not tolerates then
        arrive(job, barrier, 1, token ~= barrier and 1 or nil, place, now)
      elseif tonumber(tolerates) > 0 then
        call('HINCRBY', graph_key(job), 't:' .. barrier, -1)
        arrive(job, barrier, 1, nil, place, now)
      elseif call('HEXISTS', graph_key(job), 'm:' .. barrier) == 1 then
        undo[#undo + 1] = 'm' .. barrier .. '=' .. call('HGET', graph_key(job), 'm:' .. barrier)
        call('HDEL', graph_key(job), 'm:' .. barrier)
        -- One too many: the member that stands for the group fails.
        local stands_in = tonumber(barrier)
        if call('SETBIT', done_key(job), stands_in, 1) == 0 then
          call('HINCRBY', job_key(job), 'skipped', 1)
          undo[#undo + 1] = 'd' .. number(stands_in)
          if not W.failed(job, stands_in, failure, place, now, undo) then return false end
        end
      end
    end
    return true
  end

  -- A member has failed for good; its bit has flipped. Returns whether the job goes on.
  function W.member_failed(job, index, failure, place, now)
    local told = '{"task":"' .. job .. ':' .. number(index) .. '",' .. string.sub(failure, 2)
    W.call_back(job, index, 'failed', told)
    local undo = { 'd' .. number(index) }
    if not W.failed(job, index, told, place, now, undo) then
      call('HSET', job_key(job), 'undo', table.concat(undo, ' '))
      return false
    end
    call('HDEL', members_key(job), number(index))
    return true
  end

  -- The job is over. What may be tried again of a failed one stays as long as the job.
  function W.ended(job, state, ttl)
    W.call_back(job, nil, state, call('HGET', job_key(job), 'failure'))
    -- Of what was never enqueued as a whole, not all can be tried again.
    if state == 'failed' and call('HEXISTS', job_key(job), 'growing') == 1 then call('HSET', job_key(job), 'cut', 1) end
    call('HDEL', job_key(job), 'growing', 'paused')
    call('UNLINK', job_key(job) .. ':parked')
    -- What may be tried again of a failed job needs it.
    if state == 'failed' then call('PEXPIRE', job_key(job) .. ':data', ttl) else call('UNLINK', job_key(job) .. ':data') end
    for _, key in ipairs({ members_key(job), graph_key(job) }) do
      if state == 'failed' then call('PEXPIRE', key, ttl) else call('UNLINK', key) end
    end
    for _, key in ipairs({ spans_key(job), results_key(job), fed_key(job), begun_key(job) }) do call('PEXPIRE', key, ttl) end
  end

  -- A list of what is added to a job: see src/workflow/edit.rs. `base`: the number of the first of
  -- the members that are added. `feeder`: what takes the place of the feed `p` of spans, for spawned members.
  function W.grow(job, base, at, last, now, feeder)
    local key, graph = job_key(job), graph_key(job)
    local function shifted(feeds)
      if base == 0 and not feeder then return feeds end
      return (string.gsub(feeds, '[^,]+', function(token)
        if token == 'p' then return feeder.feeds end
        local fixed = string.match(token, '^=(%d+)$')
        if fixed then return fixed end
        if string.match(token, '^%d+$') then return number(base + tonumber(token)) end
      end))
    end
    local function caught(catch)
      if catch == 'p' then return feeder.catch end
      local n = string.match(catch, '^=(%d+)$')
      return n and '=' .. number(base + tonumber(n)) or catch
    end
    local function moved(releases)
      if base == 0 then return releases end
      return (string.gsub(releases, '[^;]+', function(text)
        local stand_in = string.match(text, '^v(%d+)$')
        if stand_in then return 'v' .. number(base + tonumber(stand_in)) end
        local lo, hi, rest = string.match(text, '^(%d+)%-(%d+)(.*)$')
        return number(base + tonumber(lo)) .. '-' .. number(base + tonumber(hi)) .. rest
      end))
    end
    while at <= last do
      local tag = ARGV[at]
      if tag == 'T' then
        local n = tonumber(ARGV[at + 1])
        if n > 0 then
          -- Full length from the start: BITPOS takes the end of a string for the end of the range.
          local total = call('HINCRBY', key, 'total', n)
          if call('GETBIT', done_key(job), total - 1) == 0 then call('SETBIT', done_key(job), total - 1, 0) end
          if call('GETBIT', begun_key(job), total - 1) == 0 then call('SETBIT', begun_key(job), total - 1, 0) end
          if call('EXISTS', out_key(job)) == 1 then call('SETBIT', out_key(job), total - 1, 0) end
        end
        at = at + 2
      elseif tag == 'M' then
        local first, n, pairs_ = base + tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), {}
        for k = 0, n - 1 do
          pairs_[#pairs_ + 1] = number(first + k)
          pairs_[#pairs_ + 1] = ARGV[at + 3 + k]
        end
        each_bite('HSET', members_key(job), pairs_)
        call('HINCRBY', STATS, 'enqueued', n)
        at = at + 3 + n
      elseif tag == 'S' then
        local lo, hi = base + tonumber(ARGV[at + 1]), base + tonumber(ARGV[at + 2])
        call('ZADD', spans_key(job), lo,
          number(lo) .. '-' .. number(hi) .. ' ' .. shifted(ARGV[at + 3]) .. ' ' .. caught(ARGV[at + 4]))
        if ARGV[at + 4] ~= '-' then call('HSETNX', key, 'catches', 1) end
        at = at + 5
      elseif tag == 'B' then
        local barrier, opens = number(base + tonumber(ARGV[at + 1])), ARGV[at + 3]
        call('HSET', graph, 'm:' .. barrier, ARGV[at + 2], 'o:' .. barrier, moved(opens))
        if ARGV[at + 4] ~= '' then call('HSET', graph, 't:' .. barrier, ARGV[at + 4]) end
        at = at + 5
      elseif tag == 'V' then
        call('HSET', results_key(job), number(base + tonumber(ARGV[at + 1])), '@' .. ARGV[at + 2])
        at = at + 3
      elseif tag == 'D' then
        call('HSET', key .. ':data', ARGV[at + 1], ARGV[at + 3], ARGV[at + 1] .. ':' .. ARGV[at + 2], ARGV[at + 4])
        at = at + 5
      elseif tag == 'G' then
        local stands_in = string.match(ARGV[at + 1], '^v(%d+)$')
        if stands_in then
          settle_stand_in(job, base + tonumber(stands_in), nil, now)
        else
          W.release(job, base, ARGV[at + 1], now)
        end
        at = at + 2
      else
        local index = ARGV[at + 1]
        if index ~= '' then index = number(base + tonumber(index)) end
        local field = 'c:' .. index .. ':' .. ARGV[at + 2]
        local stored = call('HGET', graph, field)
        local all = stored and cjson.decode(stored) or {}
        all[#all + 1] = { ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7] }
        call('HSET', graph, field, cjson.encode(all))
        call('HSET', key, 'callbacks', 1)
        at = at + 8
      end
    end
  end

  -- The end of the job, or the group before a barrier, waits for so many more.
  function W.expect(job, barrier, n)
    if n > 0 then call('HINCRBY', graph_key(job), 'm:' .. barrier, n) end
  end

  -- Members are added to the group before a barrier. `joined`: lo-hi, … from `base` on.
  function W.join(job, barrier, base, joined)
    for lo, hi in string.gmatch(joined, '(%d+)%-(%d+)') do
      lo, hi = base + tonumber(lo), base + tonumber(hi)
      W.expect(job, barrier, hi - lo)
      call('RPUSH', fed_key(job), barrier .. ' ' .. number(lo) .. '-' .. number(hi))
    end
  end

  -- Whether a job may have so many more members, so deep below one another.
  function W.may_grow(job, n, depth)
    local total, most, deepest = unpack(call('HMGET', job_key(job), 'total', 'most', 'deepest'))
    return tonumber(total) + n <= tonumber(most or 0) and depth <= tonumber(deepest or 0)
  end

  -- What waits for a member, as feeds that hold for others, too: the barrier that is nowhere written down,
  -- since it waits for this member alone, is written down.
  local function feeds_of(job, span, index, place)
    return (string.gsub(span.feeds, '%+(%d+)', function(distance)
      local barrier = number(index + tonumber(distance))
      if call('HSETNX', graph_key(job), 'm:' .. barrier, 1) == 1 then
        call('HSET', graph_key(job), 'o:' .. barrier,
          barrier .. '-' .. number(tonumber(barrier) + 1) .. ':' .. place.priority .. ':' .. place.queue .. ':0')
      end
      return barrier
    end))
  end

  -- A member has succeeded and spawned others (see script/complete.rs): its own followers wait for these, too,
  -- or in its place.
  function W.spawned(job, index, spawn, first, last, place, now)
    local span, base = span_of(job, index), tonumber(call('HGET', job_key(job), 'total'))
    local catch = catcher(span, index)
    local feeder = { feeds = span.feeds,
      catch = not catch and '-' or catch == index and '+0' or '=' .. number(catch) }
    if spawn.joined ~= '' or spawn.instead ~= '' then feeder.feeds = feeds_of(job, span, index, place) end
    W.expect(job, 'e', spawn.ends)
    if spawn.joined ~= '' then
      for barrier in string.gmatch(feeder.feeds, '[^,]+') do W.join(job, barrier, base, spawn.joined) end
    end
    if spawn.instead ~= '' then
      call('HSET', results_key(job), number(index), '@' .. number(base + tonumber(spawn.instead) - index))
      W.call_back(job, index, 'succeeded')
    end
    -- In place of it there may be nothing, which ends the job perhaps.
    W.grow(job, base, first, last, now, feeder)
    known[job] = nil
    if spawn.instead == '' then
      W.succeeded(job, index, index + 1, place, now)
    end
  end

  W.members_key, W.results_key, W.fed_key = members_key, results_key, fed_key
  W.arrive = function(job, barrier, n, now) arrive(job, barrier, n, nil, nil, now) end
  W.span_of = span_of
  W.number = number
  workflow_made = W
  return W
end

-- The last thing in a call that may release members: wakes somebody for what it has not taken itself.
local function ring_released()
  for queue in pairs(to_ring) do
    local lists = { suspects_key(queue) }
    for priority = 0, 9 do lists[#lists + 1] = ready_key(queue, priority) end
    if call('EXISTS', unpack(lists)) > 0 then ring(queue) end
  end
end
