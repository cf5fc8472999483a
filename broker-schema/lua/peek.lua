-- peek: what waits in one place of a queue, in the order in which it goes. Reads only.
-- keys   1 prefix
-- args   1 queue  2 place: 0..9 (its list of this priority) | suspects | delayed
--        3 how many to leave out, 0 at first  4 how many at most (1,000)
-- reply  <now ms> <how many to leave out for the next page, 0 at the end> <element, number; ...>
--        element: <id> | <job>:<index> | <job>:<lo>-<hi> (a range) | @<tenant> (a turn)
--        number: of what is delayed when it is due (ms), of a turn how many stand behind it, else 0
--        What leaves meanwhile moves the rest to the front: a page may miss something.
-- cost   O(how many); of a list also O(how many are left out), of what is delayed O(1,000)
local queue, place, from, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), math.min(tonumber(ARGV[4]), 1000)
local LOOKED_AT = 1000
local found = {}

local function add(element, number)
  found[#found + 1] = element
  found[#found + 1] = number
end

if place == 'delayed' then
  -- One set for all queues, in the order of time.
  local page = call('ZRANGE', DELAYED, from, from + LOOKED_AT - 1, 'WITHSCORES')
  for i = 1, #page, 2 do
    local of, element = string.match(page[i], '^%d:([^:]+):(.+)$')
    if of == queue then add(element, page[i + 1]) end
    if #found == 2 * most then return { now_ms(), from + (i + 1) / 2, found } end
  end
  return { now_ms(), #page < 2 * LOOKED_AT and 0 or from + LOOKED_AT, found }
end

local list = place == 'suspects' and suspects_key(queue) or ready_key(queue, place)
local page = call('LRANGE', list, from, from + most - 1)
for _, element in ipairs(page) do
  local tenant = string.match(element, '^@(.+)$')
  if tenant then
    add(element, call('LLEN', turn_key(queue, place, tenant)))
  else
    add(place == 'suspects' and string.match(element, '^%d:(.+)$') or element, 0)
  end
end
return { now_ms(), #page < most and 0 or from + most, found }
