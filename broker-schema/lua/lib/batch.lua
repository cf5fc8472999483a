-- batch: a producer numbers its batches, as Kafka's idempotent producer does. A batch that was
-- carried out already is answered like the first time and changes nothing.

-- A producer's last number is remembered for a day after it was last heard of.
local PRODUCER_MS = 86400000

local function producer_key(producer) return prefix .. 'producer:' .. producer end

-- Whether it was, and what was told then of duplicates and of what was refused (see controls). Of a batch
-- before the last one: nothing; nobody waits for that any more.
local function already_done(producer, number)
  local last, told, lines = string.match(call('GET', producer_key(producer)) or '', '^(%d+)([^\n]*)\n?(.*)$')
  if not last or tonumber(last) < tonumber(number) then return false end
  local duplicates, refused = {}, {}
  if last == number then
    for id in string.gmatch(told, '%S+') do duplicates[#duplicates + 1] = id end
    for value in string.gmatch(lines, '[^\n]+') do refused[#refused + 1] = value end
  end
  return true, duplicates, refused
end

local function note_done(producer, number, duplicates, refused)
  local text = table.concat({ number, unpack(duplicates) }, ' ')
  if #refused > 0 then text = text .. '\n' .. table.concat(refused, '\n') end
  call('SET', producer_key(producer), text, 'PX', PRODUCER_MS)
end
