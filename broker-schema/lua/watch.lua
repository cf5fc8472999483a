-- watch: ask for the outcomes of tasks and jobs, and to be told when those still under way end.
-- keys   1 prefix
-- args   1 client (hex), then ids (a task, a job)
-- reply  ok <now ms> <for each id: ended, outcome | watching, '' | unknown, ''>
--        unknown: never enqueued, or its outcome was not kept.
-- cost   O(ids)
local WATCHERS = prefix .. 'watchers'
-- So many bytes of client ids are kept for one task, about 64; further clients are not told, but
-- all ask again now and then.
local MOST_CLIENTS = 1088
local now = now_ms()
local client, found, watching = ARGV[1], {}, {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local outcome = call('GET', RESULT .. id)
  if outcome then
    found[#found + 1], found[#found + 2] = 'ended', outcome
  elseif call('HEXISTS', TASKS, id) == 1 or call('ZSCORE', prefix .. 'jobs:open', id) then
    found[#found + 1], found[#found + 2] = 'watching', ''
    watching[#watching + 1] = id
  else
    found[#found + 1], found[#found + 2] = 'unknown', ''
  end
end

-- nothing above writes
for _, id in ipairs(watching) do
  local clients = call('HGET', WATCHERS, id)
  if not clients then
    call('HSET', WATCHERS, id, client)
  elseif #clients < MOST_CLIENTS and not string.find(clients, client, 1, true) then
    call('HSET', WATCHERS, id, clients .. ' ' .. client)
  end
end
return { 'ok', now, found }
