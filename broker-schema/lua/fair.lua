-- fair: say whether the tenants of a queue take turns. Tasks that wait already keep their place.
-- keys   1 prefix
-- args   1 queue  2 1 (turns) or 0 (first come, first served)
-- reply  ok | unchanged
-- cost   O(1)
local key = prefix .. 'fair'
if call('SISMEMBER', key, ARGV[1]) == tonumber(ARGV[2]) then return { 'unchanged' } end

-- nothing above writes
if ARGV[2] == '1' then call('SADD', key, ARGV[1]) else call('SREM', key, ARGV[1]) end
return { 'ok' }
