-- revive: dead tasks run again: ready, with no failure counted, their attempts kept side by side.
-- from   failed                                 to  ready
-- keys   1 prefix
-- args   1 who and why: '' or the rest of a JSON object, as `,"by":"ada"`
--        then for each task: id, queue, priority, record, number of its last attempt, its attempts (a
--        JSON line each) or '', the lock that it had (see lib/locks) or ''
-- reply  <a word for each>: revived | unknown (not among the dead letters) | job_over (a chunk, or the
--        reducer of a job: the job has ended) | locked (another task has its key by now)
-- cost   O(tasks)
local DEAD, DEAD_TASKS = prefix .. 'dead', prefix .. 'dead:tasks'
local now = now_ms()
local words = {}

local function refusal(id, lock)
  if not call('ZSCORE', DEAD, id) then return 'unknown' end
  if string.find(id, ':', 1, true) or call('EXISTS', job_key(id)) == 1 then return 'job_over' end
  if lock == '' then return nil end
  local _, _, _, _, key = locks().parse(lock)
  if locks().owner(key) then return 'locked' end
end

-- The key stands for the task again: until it is done.
local function lock_again(id, lock, priority, queue)
  local mode, _, _, _, key = locks().parse(lock)
  locks().take(id, mode == 'r' and 'k' or mode, '', priority, queue, key)
end

local function revive(id, queue, priority, record, attempt, attempts, lock)
  local entry = '{"attempt":' .. attempt .. ',"outcome":"revived","worker":"","ended":' .. now .. ARGV[1] .. '}'
  if attempts ~= '' then attempts = attempts .. '\n' end
  call('ZREM', DEAD, id)
  call('HDEL', DEAD_TASKS, id)
  -- Or whoever asks would be told of the old end.
  call('DEL', RESULT .. id)
  call('HSET', TASKS, id, record)
  call('HSET', HISTORY, id, '0 0\n' .. attempts .. entry)
  call('SADD', prefix .. 'queues', queue)
  call('HINCRBY', STATS, 'revived', 1)
  if lock ~= '' then lock_again(id, lock, priority, queue) end
  push_back(queue, priority, id, record)
  ring(queue)
end

-- nothing above writes; every task is independent of the others
for at = 2, #ARGV, 7 do
  local word = refusal(ARGV[at], ARGV[at + 6])
  if not word then
    revive(unpack(ARGV, at, at + 6))
    word = 'revived'
  end
  words[#words + 1] = word
end
return words
