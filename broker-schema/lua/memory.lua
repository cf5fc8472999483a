-- memory: a page of the keys of the shard with the memory that each takes. Reads only.
-- keys   1 prefix
-- args   1 cursor; 0 to begin  2 about how many keys of the server to look at
--        3 elements of a key that are measured; of a larger one the others are taken to be alike
-- reply  <next cursor; 0: that was all> <names without prefix> <bytes of each> <1 of each that was not
--        measured as a whole, else 0>
-- cost   O(keys looked at + keys of the shard among them * elements measured)
local SIZES = { hash = 'HLEN', list = 'LLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN' }
local samples = tonumber(ARGV[3])
local page = call('SCAN', ARGV[1], 'MATCH', prefix .. '*', 'COUNT', ARGV[2])
local names, bytes, estimated = {}, {}, {}
for _, key in ipairs(page[2]) do
  local used = call('MEMORY', 'USAGE', key, 'SAMPLES', samples)
  if used then
    local size = SIZES[call('TYPE', key).ok]
    names[#names + 1] = string.sub(key, #prefix + 1)
    bytes[#bytes + 1] = used
    estimated[#estimated + 1] = (size and call(size, key) > samples) and 1 or 0
  end
end
return { page[1], names, bytes, estimated }
