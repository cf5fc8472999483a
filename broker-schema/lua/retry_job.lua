-- retry_job: a workflow that has failed begins again where it failed, under a new id: what still lies in
-- lists or with workers under the old one is dropped there. What has to be released again tells `unsettled`.
-- from   failed (the job)                       to  running (a new job)
-- keys   1 prefix
-- args   1 the failed job  2 the id of the new one  3 who and why: '' or the rest of a JSON object, as `,"by":"ada"`
-- reply  retried <new job> | releasing <job> (it runs already, but not all of it was released: go on)
--        | continued <job that goes on in its place> | under_way | not_failed | no_workflow
--        | incomplete (its last part was never enqueued) | unknown
-- cost   O(1)
local old, new, note = ARGV[1], ARGV[2], ARGV[3]
local now = now_ms()
local state, graph, failed_task, undo, continued, releasing, cut = unpack(call('HMGET', job_key(old), 'state', 'graph',
  'failed_task', 'undo', 'continued_as', 'releasing', 'cut'))
if not state then return { 'unknown' } end
if continued then return { 'continued', continued } end
if releasing then return { 'releasing', old } end
if state == 'running' or state == 'reducing' then return { 'under_way' } end
if state ~= 'failed' then return { 'not_failed' } end
if not graph or not undo then return { 'no_workflow' } end
if cut then return { 'incomplete' } end

-- nothing above writes
local ttl = call('PTTL', job_key(old))
local parts = { '', ':done', ':out', ':history', ':losses', ':members', ':spans', ':graph', ':results', ':begun', ':fed',
  ':data' }
for _, part in ipairs(parts) do
  local from, to = job_key(old) .. part, job_key(new) .. part
  if call('EXISTS', from) == 1 then
    call('RENAME', from, to)
    call('PERSIST', to)
  end
end
local key, failed = job_key(new), string.match(failed_task, ':(%d+)$')
-- What the failure has done is taken back: see lib/workflow.
for what, n, value in string.gmatch(undo, '(%l)(%d+)=?(%d*)') do
  if what == 'd' then
    call('SETBIT', done_key(new), n, 0)
    if n ~= failed then call('HINCRBY', key, 'skipped', -1) end
  elseif what == 'r' then
    local before = call('HGET', key .. ':results', 's' .. n)
    call('HDEL', key .. ':results', n, 's' .. n)
    if before then call('HSET', key .. ':results', n, before) end
  else
    call('HSET', key .. ':graph', 'm:' .. n, value)
  end
end
-- Its attempts stay, and are not counted any more.
local text = call('HGET', job_history_key(new), failed)
local lines = string.match(text or '', '\n(.*)$') or ''
local last = select(2, string.gsub(lines, '\n', '\n')) + 1
local entry = '{"attempt":' .. last .. ',"outcome":"revived","worker":"","ended":' .. now .. note .. '}'
call('HSET', job_history_key(new), failed, '0 0\n' .. (lines ~= '' and lines .. '\n' or '') .. entry)
call('HSET', key, 'state', 'running', 'retry_of', old, 'releasing', 0)
call('HINCRBY', key, 'failed', -1)
call('HDEL', key, 'ended', 'failed_task', 'failure', 'undo')
call('ZADD', prefix .. 'jobs:open', now, new)
call('ZREM', prefix .. 'jobs:ended', old)
call('ZREM', prefix .. 'dead', failed_task)
call('HDEL', prefix .. 'dead:tasks', failed_task)
-- Whoever asks for the old one hears where it went.
local copied = { 'spec', 'total', 'done', 'created', 'started' }
call('HSET', job_key(old), 'state', 'failed', 'continued_as', new, 'failed_task', failed_task, 'ended', now)
for i, value in ipairs(call('HMGET', key, unpack(copied))) do
  if value then call('HSET', job_key(old), copied[i], value) end
end
if ttl > 0 then call('PEXPIRE', job_key(old), ttl) end
return { 'retried', new }
