-- claim: give a lease up to `want` ready tasks and chunks, over queues and priorities in order.
-- from   ready, delayed (when due)             to  running
-- also   running -> ready | failed (of expired leases), ready | delayed -> expired
-- keys   1 prefix
-- args   1 lease  2 call number  3 want  4 suspect allowed (1/0)  5 crash limit (deliveries)
--        6 number of queues, then the queues; or number:pool, the queues, and for each its group and how
--        many may be taken of the group; of all queues together `pool` more may be taken
-- reply  ok <now ms> <groups> <runs> <next event ms, 0: none> <watching 1/0> <suspects>
--           <next schedule ms, 0: none, or there was enough to do>
--        | repeated <now ms> <groups> <runs> | lost
--        group: queue, priority, ids, records, histories or '', inputs or '', states or ''
--        run: in-flight field, attempt, queue, priority, job spec ('' after the first run of a
--        job), history, (index, state)* or ''
-- cost   O(want), upkeep of at most 300 elements
local args = take_args()
local now = now_ms()
local state = open_call(args.lease, args.number)
if state == 'lost' then return { 'lost' } end
if state == 'repeated' then return { 'repeated', now, holdings(args.lease) } end

-- nothing above writes
local reply = { 'ok', now, take(args, now) }
ring_released()
return reply
