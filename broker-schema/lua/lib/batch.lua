-- batch: a producer numbers its batches, as Kafka's idempotent producer does. A batch that was
-- carried out already is answered like the first time and changes nothing.

-- A producer's last number is remembered for a day after it was last heard of.
local PRODUCER_MS = 86400000

local function producer_key(producer) return prefix .. 'producer:' .. producer end

local function already_done(producer, number)
  local last = call('GET', producer_key(producer))
  return last and tonumber(string.match(last, '^%d+')) >= tonumber(number)
end

-- What the batch of this number was refused (see controls); kept with the number, so that a repeated
-- batch hears the same.
local function refused_before(producer, number)
  local last, lines = string.match(call('GET', producer_key(producer)) or '', '^(%d+)\n(.*)$')
  local refused = {}
  if last == number then
    for value in string.gmatch(lines, '[^\n]+') do refused[#refused + 1] = value end
  end
  return refused
end

local function note_done(producer, number)
  call('SET', producer_key(producer), number, 'PX', PRODUCER_MS)
end

local function note_refused(producer, number, refused)
  if #refused > 0 then note_done(producer, number .. '\n' .. table.concat(refused, '\n')) end
end
