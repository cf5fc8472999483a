-- completed: how far a job is, which of its members have settled, and to be told once when that changes.
-- keys   1 prefix
-- args   1 job  2 client (hex) that is told, or ''  3 first byte of the bits of settled members
--        4 at most so many of these bytes
-- reply  <state, '' if the job is not there> <members> <succeeded> <failed> <bits from that byte on, the first
--        member in the highest bit of the first byte>
--        The client is told `<job>:p` when a member settles, and when the job ends.
-- cost   O(bytes)
local WATCHERS = prefix .. 'watchers'
-- As in watch.
local MOST_CLIENTS = 1088
local job, client, first, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local state, total, done, failed = unpack(call('HMGET', job_key(job), 'state', 'total', 'done', 'failed'))

-- nothing above writes
if client ~= '' and call('ZSCORE', prefix .. 'jobs:open', job) then
  local field = job .. ':p'
  local clients = call('HGET', WATCHERS, field)
  if not clients then
    call('HSET', WATCHERS, field, client)
  elseif #clients < MOST_CLIENTS and not string.find(clients, client, 1, true) then
    call('HSET', WATCHERS, field, clients .. ' ' .. client)
  end
end
return {
  state or '', total or '0', done or '0', failed or '0',
  state and call('GETRANGE', done_key(job), first, first + most - 1) or '',
}
