-- stream: partial results of a task or chunk, and whether more may come. Reads only.
-- keys   1 prefix
-- args   1 id  2 entry after which to begin; 0-0: from the first one  3 most values
-- reply  <open | ended | unknown> <entries> <attempts> <values>
--        ended: no more will come than these and those after them. unknown: no task that is under way,
--        and nothing is kept of it.
-- cost   O(values)
local id, key = ARGV[1], prefix .. 'stream:' .. ARGV[1]

local function is_open()
  if call('HEXISTS', TASKS, id) == 1 then return true end
  local job, index = string.match(id, '^(%x+):(%d+)$')
  local state = call('HGET', job_key(job or id), 'state')
  if not job then return state == 'running' or state == 'reducing' end
  return state == 'running' and call('GETBIT', done_key(job), index) == 0
end

local found = call('XRANGE', key, '(' .. ARGV[2], '+', 'COUNT', ARGV[3])
local entries, tried, values = {}, {}, {}
for i, entry in ipairs(found) do
  entries[i], tried[i], values[i] = entry[1], entry[2][2], entry[2][4]
end
local word = 'ended'
if is_open() then
  word = 'open'
elseif call('EXISTS', key, RESULT .. id) == 0 and not string.find(id, ':') then
  word = 'unknown'
end
return { word, entries, tried, values }
