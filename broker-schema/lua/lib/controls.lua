-- controls: what people said of queues (see `control`), as producers feel it: a closed queue takes
-- nothing, one with a limit only what fits. The hash is there only while there is something to say.
local CONTROLS = prefix .. 'controls'
local WHY = prefix .. 'controls:why'

-- Tasks and chunks of a queue that wait for a worker. What is delayed does not count before it is due.
local function depth(queue)
  local n = call('LLEN', suspects_key(queue))
  for priority = 0, 9 do
    n = n + call('LLEN', ready_key(queue, priority))
      + (tonumber(call('HGET', prefix .. 'chunks', queue .. ':' .. priority)) or 0)
  end
  return n
end

-- How much more each queue takes in this call, and what it says to the rest.
local rooms = {}
local function room_of(queue)
  local room = rooms[queue]
  if room then return room end
  local flags = call('HGET', CONTROLS, queue) or ''
  local limit = tonumber(string.match(flags, 'm(%d+)'))
  if string.find(flags, 'c', 1, true) then
    room = { left = 0, word = 'closed', part = 'c', limit = 0 }
  elseif limit then
    room = { left = math.max(limit - depth(queue), 0), word = 'full', part = 'm', limit = limit }
  else
    room = { left = math.huge }
  end
  rooms[queue] = room
  return room
end

-- How many of `n` tasks the queue takes. Delayed ones take no room, but want the queue to have some.
local function admit(queue, n, delayed)
  local room = room_of(queue)
  if delayed then return room.left > 0 and n or 0 end
  local fits = math.min(n, room.left)
  room.left = room.left - fits
  return fits
end

-- Notes in `refused` that `n` tasks from `position` on were not taken: position, n, queue, word, limit.
local function refuse(refused, position, n, queue)
  local room, last = room_of(queue), #refused - 4
  if last > 0 and refused[last] + refused[last + 1] == position and refused[last + 2] == queue then
    refused[last + 1] = refused[last + 1] + n
    return
  end
  for _, value in ipairs({ position, n, queue, room.word, string.format('%.0f', room.limit) }) do
    refused[#refused + 1] = value
  end
end

-- The same for people: each with the note of whoever closed or limited the queue, if it still is.
local function with_notes(refused)
  local told = {}
  for i = 1, #refused, 5 do
    local part = refused[i + 3] == 'closed' and ':c' or ':m'
    for k = i, i + 4 do told[#told + 1] = refused[k] end
    told[#told + 1] = call('HGET', WHY, refused[i + 2] .. part) or ''
  end
  return told
end
