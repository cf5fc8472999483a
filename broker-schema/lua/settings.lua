-- settings: what operators set for the whole shard. Values are checked by the caller.
-- keys   1 prefix
-- args   for each setting to change: name, value; '' for the default
-- reply  <all that is set: name, value; ...>
-- cost   O(settings); what is kept of the dead letters changes with the upkeep that workers do (tidy), so
--        that a slip of the hand can be taken back
local SETTINGS = prefix .. 'settings'

-- nothing above writes
for i = 1, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    call('HDEL', SETTINGS, ARGV[i])
  else
    call('HSET', SETTINGS, ARGV[i], ARGV[i + 1])
  end
end
return { call('HGETALL', SETTINGS) }
