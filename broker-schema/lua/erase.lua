-- erase: removes a page of all keys under the prefix, whatever they hold: for namespaces that were only
-- measured or tried in. Whoever still uses them loses everything.
-- keys   1 prefix, of the shard or of the namespace
-- args   1 cursor; 0 to begin  2 about how many keys of the server to look at
-- reply  <next cursor; 0: that was all> <keys removed>
-- cost   O(keys looked at); what large keys hold is freed in the background
local call = redis.call
local page = call('SCAN', ARGV[1], 'MATCH', KEYS[1] .. '*', 'COUNT', ARGV[2])
-- nothing above writes
local removed = 0
for _, key in ipairs(page[2]) do removed = removed + call('UNLINK', key) end
return { page[1], removed }
