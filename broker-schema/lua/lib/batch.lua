-- batch: a producer numbers its batches, as Kafka's idempotent producer does. A batch that was
-- carried out already is answered like the first time and changes nothing.

-- A producer's last number is remembered for a day after it was last heard of.
local PRODUCER_MS = 86400000

local function producer_key(producer) return prefix .. 'producer:' .. producer end

local function already_done(producer, number)
  local last = call('GET', producer_key(producer))
  return last and tonumber(last) >= tonumber(number)
end

local function note_done(producer, number)
  call('SET', producer_key(producer), number, 'PX', PRODUCER_MS)
end
