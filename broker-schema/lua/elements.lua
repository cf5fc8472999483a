-- elements: a page of what one large key holds, for those who check what must hold. Reads only.
-- keys   1 prefix
-- args   1 name of the key, without prefix  2 cursor; 0 to begin  3 about how many elements
--        4 most bytes of a text
-- reply  <next cursor; 0: that was all> <elements: of a hash and a sorted set pairs>
-- cost   O(elements told)
local key, cursor, most, text = prefix .. ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local SCANS = { hash = 'HSCAN', set = 'SSCAN', zset = 'ZSCAN' }
local kind = call('TYPE', key).ok
if kind == 'list' then
  local first = tonumber(cursor)
  local found = call('LRANGE', key, first, first + most - 1)
  local more = #found == most and first + most < call('LLEN', key)
  return { string.format('%.0f', more and first + most or 0), found }
end
if not SCANS[kind] then return { '0', {} } end
local page = call(SCANS[kind], key, cursor, 'COUNT', most)
local found = page[2]
if kind == 'hash' then
  for i = 2, #found, 2 do found[i] = string.sub(found[i], 1, text) end
end
return { page[1], found }
