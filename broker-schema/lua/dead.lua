-- dead: a page of the dead letters, the newest first; or those that are asked for. Reads only.
-- keys   1 prefix
-- args   1 limit of a page (at most 500)  2 time (ms) and 3 id of the last one of the page before,
--        '' and '' for the first page; then ids: those instead of a page
-- reply  <now ms> <how many there are> <more 1/0> <id, time ms, document; ...>
-- cost   O(limit + log² dead letters); documents of at most 1 MB together, or one
local DEAD, DEAD_TASKS = prefix .. 'dead', prefix .. 'dead:tasks'
local MOST_BYTES = 1048576
local BITE = 16
local total = call('ZCARD', DEAD)

-- How many stand before the first one that comes after the cursor. It is searched for, because the
-- one that the cursor names may have left.
local function rank_after(time, id)
  local lo, hi = 0, total
  while lo < hi do
    local mid = math.floor((lo + hi) / 2)
    local there = call('ZRANGE', DEAD, mid, mid, 'REV', 'WITHSCORES')
    local at = tonumber(there[2])
    if at < time or (at == time and there[1] < id) then hi = mid else lo = mid + 1 end
  end
  return lo
end

local found, bytes = {}, 0
local function add(id, at, document)
  found[#found + 1] = id
  found[#found + 1] = at
  found[#found + 1] = document
  bytes = bytes + #document
end

if ARGV[4] then
  for i = 4, #ARGV do
    local at = call('ZSCORE', DEAD, ARGV[i])
    if at and bytes < MOST_BYTES then add(ARGV[i], at, call('HGET', DEAD_TASKS, ARGV[i]) or '') end
  end
  return { now_ms(), total, 0, found }
end

local rank = ARGV[2] == '' and 0 or rank_after(tonumber(ARGV[2]), ARGV[3])
local last = math.min(rank + math.min(tonumber(ARGV[1]), 500), total)
while rank < last and bytes < MOST_BYTES do
  local page = call('ZRANGE', DEAD, rank, math.min(rank + BITE, last) - 1, 'REV', 'WITHSCORES')
  for i = 1, #page, 2 do
    if bytes >= MOST_BYTES then break end
    add(page[i], page[i + 1], call('HGET', DEAD_TASKS, page[i]) or '')
    rank = rank + 1
  end
end
return { now_ms(), total, rank < total and 1 or 0, found }
