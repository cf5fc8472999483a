-- complete: report the ends of attempts of one lease, and claim again in the same round trip.
-- from   running                                to  succeeded | delayed | failed | ready | cancelled
-- also   waiting -> ready | failed (the reducer of a job), and all that claim does. What would go
--        on and was asked to be cancelled (see cancel) ends here.
-- keys   1 prefix
-- args   1..6 and queues as claim; then the number n of plain successes, n ids, n outcomes,
--        n retentions (ms); then the other endings, each a tag and its values:
--        R  id, delay ms, attempt                              retry
--        F  id, outcome, retention ms, error                   final failure; the outcome holds all
--        X  id, outcome, retention ms                          cancelled: it was told to stop, and did
--        L  id, begun (1/0)                                    release: not counted
--        Z  id, delay ms                                       snooze: later, not counted
--        CS field, lo, hi, number of deltas, (op, name, number)*   chunks lo..hi succeeded
--        MS field, lo, hi, number of results, (index, result)*, number of deltas, (op, name, number)*
--                                                              members lo..hi of a workflow succeeded
--        MN field, index, result or '', number of deltas, (op, name, number)*, members, depth, ends,
--           joined (lo-hi, …), stand-in or '', number of arguments, then what is added as in
--           enqueue_workflow: a member succeeded and spawned others
--        CR field, index, delay ms, attempt                    retry of one chunk
--        CF field, index, outcome, attempt, error              final failure of one chunk
--        CL field, lo, hi                                      release of chunks lo..hi
--        K  name in flight, index of the chunk or '', attempt, state   its state, before it goes back
--        CZ field, index, delay ms                             snooze of one chunk
--        An attempt is a JSON line for the history.
-- reply  ok <now ms> <groups> <runs> <next event ms> <watching> <suspects> <next schedule ms>
--           <stale ids> <refused fields>
--        | repeated <now ms> <groups> <runs> | lost
--        stale: not held (any more) or of an ended job, nothing was done. refused: chunks whose
--        numbers would leave the range that is added exactly (2^62), nothing was done.
-- cost   O(endings + want), upkeep of at most 300 elements
local args, at = take_args()
local now = now_ms()
local state = open_call(args.lease, args.number)
if state == 'lost' then return { 'lost' } end
if state == 'repeated' then return { 'repeated', now, holdings(args.lease) } end

-- nothing above writes
local inflight = inflight_key(args.lease)
local stale, refused = {}, {}

-- Where in ARGV[first..last] the ids stand that the lease holds; nil if it holds all of them, as it
-- nearly always does. What it does not hold is stale.
local function held_places(first, last)
  local places, all = {}, true
  for i = first, last, UNPACK do
    local till = math.min(i + UNPACK - 1, last)
    for k, value in ipairs(call('HMGET', inflight, unpack(ARGV, i, till))) do
      if value then
        places[#places + 1] = i + k - 1
      else
        all = false
        stale[#stale + 1] = ARGV[i + k - 1]
      end
    end
  end
  return not all and places or nil
end

-- Those among `ids` that waited for others: the reducers of jobs end their job.
local function end_reduced_jobs(ids)
  if call('HLEN', INPUTS) == 0 then return end
  for i = 1, #ids, UNPACK do
    local till = math.min(i + UNPACK - 1, #ids)
    for k, input in ipairs(call('HMGET', INPUTS, unpack(ids, i, till))) do
      local id = ids[i + k - 1]
      if input then
        call('HDEL', INPUTS, id)
        settle().end_job(id, 'succeeded', now, call('HGET', job_key(id), 'keep') or KEEP_MS)
      end
    end
  end
end

local function succeed_all(n)
  if n == 0 then return end
  local places, ids = held_places(at, at + n - 1), {}
  for k = 1, places and #places or n do
    local place = places and places[k] or at + k - 1
    local id, keep = ARGV[place], ARGV[place + 2 * n]
    ids[k] = id
    if keep ~= '0' then call('SET', RESULT .. id, ARGV[place + n], 'PX', keep) end
  end
  if #ids == 0 then return end
  -- What it held leaves once, also if it was told twice.
  local ended = 0
  for i = 1, #ids, UNPACK do
    ended = ended + call('HDEL', inflight, unpack(ids, i, math.min(i + UNPACK - 1, #ids)))
  end
  each_bite('HDEL', TASKS, ids)
  settle().forget(ids)
  end_reduced_jobs(ids)
  settle().tell_watchers(ids)
  call('HINCRBY', STATS, 'succeeded', ended)
end

local n = tonumber(ARGV[at])
at = at + 1
succeed_all(n)
at = at + 3 * n

if ARGV[at] then apply_endings(at, inflight, now, stale, refused) end

local groups, runs, next_at, watching, suspects, schedule = take(args, now)
ring_released()
return { 'ok', now, groups, runs, next_at, watching, suspects, schedule, stale, refused }
