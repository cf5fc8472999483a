-- limit: set or remove one limit (see lib/gate.lua). What it had parked comes back if it may.
-- keys   1 prefix
-- args   1 kind (queue, task, tenant)  2 name, or * for each that has no limit of its own
--        3 limit (<n> <period ms> <burst> <concurrency>, 0 for none), or '' to remove it
--        4 who and why: '' or the rest of a JSON object, as `,"by":"ada"`
-- reply  ok <what it was, or ''> | unchanged | full (there are 10,000 limits of this kind)
--        unchanged: the note of whoever set it stays
-- cost   O(1), and at most 1,000 subjects for *
local key, name, rule = prefix .. 'limits:' .. ARGV[1], ARGV[2], ARGV[3]
local old, WHY = call('HGET', key, name), prefix .. 'limited:why'
if (old or '') == rule then return { 'unchanged' } end
if not old and call('HLEN', key) >= 10000 then return { 'full' } end

-- nothing above writes
local subject = ARGV[1] .. ':' .. name
if name ~= '*' then gate().refresh(subject) end
if rule == '' then
  call('HDEL', key, name)
  call('HDEL', WHY, subject)
else
  call('HSET', key, name, rule)
  call('HSET', WHY, subject, '{"at":' .. now_ms() .. ARGV[4] .. '}')
end
if name ~= '*' then
  gate().refresh(subject)
  gate().drive(subject)
else
  -- Those whose limit is full now hear of it when a holder ends, wherever they stand.
  for _, parked in ipairs(call('ZRANGE', PARKED, 0, 999)) do
    if string.find(parked, ARGV[1] .. ':', 1, true) == 1 then call('ZADD', PARKED, 0, parked) end
  end
end
return { 'ok', old or '' }
