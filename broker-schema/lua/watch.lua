-- watch: ask for the outcomes of tasks and jobs, and to be told when those still under way end.
-- What is overdue among them is ended here: there may be no worker that does it.
-- from   ready | delayed (when overdue)         to  expired
-- keys   1 prefix
-- args   1 client (hex), then ids (a task, a job)
-- reply  ok <now ms> <for each id: ended, outcome | watching, '' | expiring, ms | unknown, ''>
--        expiring: watching, and if it is not started within so many ms, nobody may be there to
--        tell. unknown: never enqueued, or its outcome was not kept.
-- cost   O(ids), at most 100 of them are ended, fewer if they are large
local WATCHERS = prefix .. 'watchers'
-- So many bytes of client ids are kept for one task, about 64; further clients are not told, but
-- all ask again now and then.
local MOST_CLIENTS = 1088
local EXPIRE_BITE = 100
-- The records of what is ended are read, so that of large ones fewer are.
local EXPIRE_BYTES = 65536
local now = now_ms()
local may_expire = call('EXISTS', EXPIRY) == 1
local client, found, watching, overdue, bytes = ARGV[1], {}, {}, {}, 0

-- How one of them stands, which has not ended.
local function under_way(id)
  local expires = may_expire and call('ZSCORE', EXPIRY, id)
  if not expires then return 'watching', '' end
  local left = math.max(tonumber(expires) - now, 0)
  if left == 0 and #overdue < EXPIRE_BITE and bytes <= EXPIRE_BYTES then
    bytes = bytes + call('HSTRLEN', TASKS, id)
    overdue[#overdue + 1] = { id = id, place = #found + 1 }
    return 'ended', ''
  end
  return 'expiring', string.format('%.0f', left)
end

for i = 2, #ARGV do
  local id, word, detail = ARGV[i], 'unknown', ''
  local outcome = call('GET', RESULT .. id)
  if outcome then
    word, detail = 'ended', outcome
  elseif call('HEXISTS', TASKS, id) == 1 or call('ZSCORE', prefix .. 'jobs:open', id) then
    word, detail = under_way(id)
    if word ~= 'ended' then watching[#watching + 1] = id end
  end
  found[#found + 1], found[#found + 2] = word, detail
end

-- nothing above writes
local outcomes = {}
for _, late in ipairs(overdue) do
  -- Asked for twice, it is ended once.
  outcomes[late.id] = outcomes[late.id] or settle().expire_task(late.id, now)
  found[late.place + 1] = outcomes[late.id]
end
for _, id in ipairs(watching) do
  local clients = call('HGET', WATCHERS, id)
  if not clients then
    call('HSET', WATCHERS, id, client)
  elseif #clients < MOST_CLIENTS and not string.find(clients, client, 1, true) then
    call('HSET', WATCHERS, id, clients .. ' ' .. client)
  end
end
return { 'ok', now, found }
