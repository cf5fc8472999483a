-- enqueue_range: put a job of chunks that differ only by their index: one list element and two
-- bitmaps, whatever their number; and its reducer, which waits for the last chunk.
-- from   nothing                                to  ready (the chunks), waiting (the reducer)
-- keys   1 prefix
-- args   1 producer  2 batch number  3 job  4 spec  5 chunks  6 queue  7 priority  8 retention ms
--        9 reducer's record or ''  10 its queue  11 its priority  12 unique key or ''  13 unique for ms
--        14 percent of the mean duration after which a chunk is started a second time, or ''
-- reply  ok <now ms> <duplicates: job, first job | nothing> <refused, as enqueue: all or nothing>
-- cost   O(chunks / 8) bytes written at once
local QUEUES = prefix .. 'queues'
local now = now_ms()
local job, total, queue, priority = ARGV[3], tonumber(ARGV[5]), ARGV[6], ARGV[7]
local unique = ARGV[12]
if unique ~= '' then
  local first = call('GET', prefix .. 'unique:' .. unique)
  if first and first ~= job then return { 'ok', now, { job, first }, {} } end
end
if already_done(ARGV[1], ARGV[2]) then return { 'ok', now, {}, {} } end
if call('EXISTS', CONTROLS) == 1 then
  local refused = {}
  if admit(queue, total) < total then
    refuse(refused, 0, 1, queue)
  -- The reducer waits outside of its queue and takes no room, but a closed queue takes none either.
  elseif ARGV[9] ~= '' and room_of(ARGV[10]).word == 'closed' then
    refuse(refused, 0, 1, ARGV[10])
  end
  -- Not noted as done: if it is repeated, it is looked at again.
  if #refused > 0 then return { 'ok', now, {}, with_notes(refused) } end
end

-- nothing above writes
note_done(ARGV[1], ARGV[2], {}, {})
if unique ~= '' then call('SET', prefix .. 'unique:' .. unique, job, 'PX', ARGV[13]) end
call('HSET', job_key(job), 'spec', ARGV[4], 'total', ARGV[5], 'state', 'running', 'keep', ARGV[8],
  'created', now, 'done', 0, 'failed', 0)
if ARGV[14] ~= '' then
  call('HSET', job_key(job), 'speculate', ARGV[14], 'place', priority .. ':' .. queue)
  call('SADD', prefix .. 'jobs:speculate', job)
end
-- Full length from the start: BITPOS takes the end of a string for the end of the range.
call('SETBIT', done_key(job), total - 1, 0)
call('ZADD', prefix .. 'jobs:open', now, job)
call('HINCRBY', STATS, 'enqueued', total)
call('SADD', QUEUES, queue)
if ARGV[9] ~= '' then
  call('HSET', TASKS, job, ARGV[9])
  call('HSET', prefix .. 'waiting', job, ARGV[11] .. ':' .. ARGV[10])
  call('SADD', QUEUES, ARGV[10])
end
push_back(queue, priority, range_element(job, 0, total, 0))
ring(queue)
return { 'ok', now, {}, {} }
