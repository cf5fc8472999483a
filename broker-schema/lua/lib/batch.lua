-- batch: a producer numbers its batches, as Kafka's idempotent producer does. A batch that was
-- carried out already is answered like the first time and changes nothing.

-- A producer's last number is remembered for a day after it was last heard of.
local PRODUCER_MS = 86400000

local function producer_key(producer) return prefix .. 'producer:' .. producer end

-- Whether it was, and what was told then of duplicates (of a batch before the last one: nothing; nobody
-- waits for that any more).
local function already_done(producer, number)
  local last, told = string.match(call('GET', producer_key(producer)) or '', '^(%d+)(.*)$')
  if not last or tonumber(last) < tonumber(number) then return false end
  local duplicates = {}
  if last == number then
    for id in string.gmatch(told, '%S+') do duplicates[#duplicates + 1] = id end
  end
  return true, duplicates
end

-- `told`: the duplicates, each behind a space.
local function note_done(producer, number, told)
  call('SET', producer_key(producer), number .. told, 'PX', PRODUCER_MS)
end
