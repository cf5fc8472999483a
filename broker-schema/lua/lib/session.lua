-- session: a lease talks to Redis in numbered calls, one at a time. The number of the last one is
-- kept in the field `#` of its in-flight hash, so that a call whose reply was lost can be sent
-- again: it changes nothing then and is answered with all that the lease holds.

-- Calls are missing between the last one and this: a failover, or a restart from an older file, has
-- taken back what was answered. What this lease holds then is not what its worker believes. Its worker
-- goes by what is here, and all that it has ended meanwhile it gets again; for runs, of which parts may
-- have been taken back, that cannot be told, and the lease is lost. Only the number is written.
local function taken_back(lease, number)
  for _, field in ipairs(call('HKEYS', inflight_key(lease))) do
    if string.find(field, ':', 1, true) then return 'lost' end
  end
  call('HSET', inflight_key(lease), '#', number)
  return 'repeated'
end

-- ok | repeated | lost. The hash is there exactly as long as its lease: `open` makes both,
-- `close` and `reclaim` take both away.
local function open_call(lease, number)
  local last = call('HGET', inflight_key(lease), '#')
  if not last then return 'lost' end
  -- A call that was given up and sent again may still arrive after the calls that came later.
  if tonumber(number) <= tonumber(last) then return 'repeated' end
  if tonumber(number) > tonumber(last) + 1 then return taken_back(lease, number) end
  return 'ok'
end

-- All that a lease holds, in the form in which `take` gives it.
local function holdings(lease)
  local held = call('HGETALL', inflight_key(lease))
  local groups, runs, described = {}, {}, {}
  for i = 1, #held, 2 do
    local id = held[i]
    local attempt, _, priority, queue = string.match(held[i + 1], '^(%d+):(%d+):(%d):([^:]+)')
    if attempt then
      local record = call('HGET', TASKS, id)
      if record then
        local history, inputs = call('HGET', HISTORY, id), call('HGET', INPUTS, id)
        local state = call('HGET', prefix .. 'checkpoints', id)
        groups[#groups + 1] =
          { queue, priority, { id }, { record }, { history or '' }, { inputs or '' }, { state or '' } }
      else
        local job, lo = string.match(id, '^(%x+):(%d+)')
        local _, _, hi = range_of(id)
        local text = job and not hi and call('HGET', job_history_key(job), lo)
        -- The description of a job is given once.
        local spec = job and (described[job] and '' or call('HGET', job_key(job), 'spec'))
        if spec then
          if spec == '' and not described[job] then spec = 'null' end
          described[job] = true
          local key, states = job_checkpoints_key(job), ''
          if call('EXISTS', key) == 1 then
            states = chunk_takers().states_of({ bytes = 0 }, key, tonumber(lo), hi or lo + 1)
          end
          if hi and tonumber(attempt) > 1 then text = losses().with(nil, job, tonumber(lo), attempt - 1) end
          local records = chunk_takers().records_of(job, tonumber(lo), hi or lo + 1)
          runs[#runs + 1] = { id, tonumber(attempt), queue, priority, spec, text or '', states, records }
        end
      end
    end
  end
  return groups, runs
end

-- args: 1 lease, 2 call number, 3 want, 4 '1' if a suspect may be given, 5 crash limit,
-- 6 number of queues, or number:pool, then the queues, with a pool also their rooms. Returns the index of the first argument after them.
local function take_args()
  local queues, n, rooms = {}, tonumber(ARGV[6]), nil
  if not n then
    local count, pool = string.match(ARGV[6], '^(%d+):(%d+)$')
    n, rooms = tonumber(count), { pool = tonumber(pool), group = {}, own = {} }
  end
  for i = 1, n do queues[i] = ARGV[6 + i] end
  if rooms then
    for i = 1, n do
      local at = 5 + n + 2 * i
      rooms.group[queues[i]], rooms.own[ARGV[at]] = ARGV[at], tonumber(ARGV[at + 1])
    end
  end
  return {
    lease = ARGV[1],
    number = ARGV[2],
    want = tonumber(ARGV[3]),
    suspect = ARGV[4] == '1',
    crash_limit = tonumber(ARGV[5]),
    queues = queues,
    rooms = rooms,
  }, rooms and 7 + 3 * n or 7 + n
end
