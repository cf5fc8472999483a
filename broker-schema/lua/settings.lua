-- settings: what operators set for the whole shard. Values are checked by the caller.
-- keys   1 prefix
-- args   for each setting to change: name, value; '' for the default
-- reply  <all that is set: name, value; ...>
-- cost   O(settings); a change of what is kept of the dead letters takes effect at once for 100 of them,
--        for the others with the upkeep that workers do
local SETTINGS = prefix .. 'settings'
local TRIM_BITE = 100

-- nothing above writes
for i = 1, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    call('HDEL', SETTINGS, ARGV[i])
  else
    call('HSET', SETTINGS, ARGV[i], ARGV[i + 1])
  end
end
if #ARGV > 0 then settle().trim_dead(now_ms(), TRIM_BITE) end
return { call('HGETALL', SETTINGS) }
