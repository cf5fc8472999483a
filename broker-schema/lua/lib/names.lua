-- names: the names of queues do not grow without bound. A name is in the set `queues` from its first use
-- on; when nothing of the queue is found, it moves to `queues:idle`, with that time. Whoever uses the
-- queue adds its name to `queues` again, and knows nothing of the other. A name that is idle for a day
-- is forgotten, with what else is kept by it.
local IDLE_MS = 86400000

local function count_field(queue, priority) return queue .. ':' .. priority end

-- Whether nothing of a queue waits (what is parked and what stands behind turns is counted in `chunks`),
-- and nobody has set anything for it. What runs, is delayed or waits for another task is not seen here: it
-- brings the name back when it is ready.
local function is_idle(queue)
  local lists, counts = { suspects_key(queue) }, {}
  for priority = 0, 9 do
    lists[#lists + 1] = ready_key(queue, priority)
    counts[#counts + 1] = count_field(queue, priority)
  end
  if call('EXISTS', unpack(lists)) > 0 then return false end
  for _, count in ipairs(call('HMGET', prefix .. 'chunks', unpack(counts))) do
    if count and tonumber(count) ~= 0 then return false end
  end
  return call('HEXISTS', prefix .. 'controls', queue) == 0 and call('HEXISTS', prefix .. 'limits:queue', queue) == 0
    and call('SISMEMBER', prefix .. 'fair', queue) == 0
end

-- What is left of an idle queue: counts that are 0, and a token that no worker has taken for a day.
local function forget_queue(queue)
  local counts = {}
  for priority = 0, 9 do counts[#counts + 1] = count_field(queue, priority) end
  call('HDEL', prefix .. 'chunks', unpack(counts))
  call('DEL', prefix .. 'bell:' .. queue)
end

-- Looks at up to `limit` names of each kind. Returns how many became idle or were forgotten.
local function tidy_names(now, limit)
  local QUEUES, IDLE = prefix .. 'queues', prefix .. 'queues:idle'
  local tidied = 0
  for _, queue in ipairs(call('SRANDMEMBER', QUEUES, limit)) do
    if is_idle(queue) then
      call('SREM', QUEUES, queue)
      call('ZADD', IDLE, now, queue)
      tidied = tidied + 1
    end
  end
  for _, queue in ipairs(call('ZRANGEBYSCORE', IDLE, '-inf', now - IDLE_MS, 'LIMIT', 0, limit)) do
    call('ZREM', IDLE, queue)
    if call('SISMEMBER', QUEUES, queue) == 0 then
      if is_idle(queue) then forget_queue(queue) else call('SADD', QUEUES, queue) end
      tidied = tidied + 1
    end
  end
  return tidied
end
