-- delete_job: removes all that is kept of a job that has ended, before its retention is over. Its dead
-- letters stay.
-- keys   1 prefix
-- args   1 job
-- reply  deleted | under_way (it has not ended: cancel it first) | unknown
-- cost   O(1); what large keys hold is freed in the background
local job = ARGV[1]
local key = job_key(job)
local state = call('HGET', key, 'state')
if not state then return { 'unknown' } end
if state == 'running' or state == 'reducing' then return { 'under_way' } end

-- nothing above writes
call('UNLINK', key, RESULT .. job)
for _, part in ipairs({ 'done', 'out', 'history', 'losses', 'checkpoints', 'running', 'members', 'spans', 'graph',
  'results', 'begun', 'fed', 'parked', 'data' }) do
  call('UNLINK', key .. ':' .. part)
end
call('ZREM', prefix .. 'jobs:ended', job)
return { 'deleted' }
