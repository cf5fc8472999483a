-- fair: say whether the tenants of a queue take turns. Tasks that wait already keep their place.
-- keys   1 prefix
-- args   1 queue  2 1 (turns) or 0 (first come, first served)
--        3 who and why: '' or the rest of a JSON object, as `,"by":"ada"`
-- reply  ok | unchanged
-- cost   O(1)
local key = prefix .. 'fair'
if call('SISMEMBER', key, ARGV[1]) == tonumber(ARGV[2]) then return { 'unchanged' } end

-- nothing above writes
local WHY, field = prefix .. 'limited:why', 'fair:' .. ARGV[1]
if ARGV[2] == '1' then
  call('SADD', key, ARGV[1])
  call('HSET', WHY, field, '{"at":' .. now_ms() .. ARGV[3] .. '}')
else
  call('SREM', key, ARGV[1])
  call('HDEL', WHY, field)
end
return { 'ok' }
