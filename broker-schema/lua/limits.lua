-- limits: the limits, what they hold and what waits for them. Reads only.
-- keys   1 prefix
-- args   1 most limits of each kind, and most subjects
-- reply  <now ms> <for each limit: kind, name, limit, who set it, when and why (JSON, or '')>
--        <for each subject: subject, in flight, waiting, when the next may go (ms, 0: not known)>
--        <for each fair queue: name, who wanted that, when and why (JSON, or '')>
-- cost   O(limits + subjects asked for)
local most = tonumber(ARGV[1])
local now = now_ms()
local limits, subjects, seen = {}, {}, {}
local WHY = prefix .. 'limited:why'
local noted = call('EXISTS', WHY) == 1

local function said(what) return noted and call('HGET', WHY, what) or '' end

for _, kind in ipairs({ 'queue', 'task', 'tenant' }) do
  local found = call('HRANDFIELD', prefix .. 'limits:' .. kind, most, 'WITHVALUES')
  for i = 1, #found, 2 do limits[#limits + 1] = { kind, found[i], found[i + 1], said(kind .. ':' .. found[i]) } end
end

-- What waits for a subject: what is parked, and what stands behind parked turns.
local function waiting(subject)
  local key = prefix .. 'parked:' .. subject
  local n = call('ZCARD', key)
  for _, member in ipairs(call('ZRANGEBYSCORE', key, 10, 19, 'LIMIT', 0, 100)) do
    local tenant, priority, queue = string.match(member, '^@(%S+) (%d) (%S+)')
    n = n + call('LLEN', turn_key(queue, priority, tenant)) - 1
  end
  return n
end

local function add(subject, held, at)
  if seen[subject] then return end
  seen[subject] = true
  subjects[#subjects + 1] = { subject, tonumber(held), waiting(subject), tonumber(at) < math.huge and at or 0 }
end

local HELD = prefix .. 'held'
local parked = call('ZRANGE', prefix .. 'parked', 0, most - 1, 'WITHSCORES')
for i = 1, #parked, 2 do add(parked[i], call('HGET', HELD, parked[i]) or 0, parked[i + 1]) end
local held = call('HRANDFIELD', HELD, most, 'WITHVALUES')
for i = 1, #held, 2 do add(held[i], held[i + 1], 0) end
local fair = call('SRANDMEMBER', prefix .. 'fair', most)
for i, queue in ipairs(fair) do fair[i] = { queue, said('fair:' .. queue) } end
return { now, limits, subjects, fair }
