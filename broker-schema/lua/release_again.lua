-- release_again: members of a workflow that is retried are ready again: a bite of them.
-- keys   1 prefix
-- args   1 job  2 index that this bite begins at  3 index behind it, or '': that was all
--        then for each: `<lo>-<hi>:<priority>:<queue>`, or `<index>:…` of one that goes its own way
-- reply  released | expected <index that is next> | over (it has ended, or all was released before)
-- cost   O(members given)
local job, from, behind = ARGV[1], ARGV[2], ARGV[3]
local key, now = job_key(job), now_ms()
local state, releasing = unpack(call('HMGET', key, 'state', 'releasing'))
if state ~= 'running' or not releasing then return { 'over' } end
if releasing ~= from then return { 'expected', releasing } end

-- nothing above writes
for i = 4, #ARGV do
  local index, priority, queue = string.match(ARGV[i], '^(%d+):(%d):([^:]+)$')
  if index then
    push_back(queue, priority, job .. ':' .. index)
    ring(queue)
  else
    workflow().release(job, 0, ARGV[i] .. ':0', now)
  end
end
if behind == '' then call('HDEL', key, 'releasing') else call('HSET', key, 'releasing', behind) end
return { 'released' }
