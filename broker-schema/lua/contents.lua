-- contents: a page of the keys of the shard with what they hold, for those who check what must hold.
-- Reads only.
-- keys   1 prefix
-- args   1 cursor; 0 to begin  2 about how many keys of the server to look at  3 most elements of a key that
--        are told here; of a larger one none, `elements` has them  4 most bytes of a text
--        5 most bytes of a bitmap; of a larger one none
-- reply  <next cursor; 0: that was all> <now ms> <name without prefix, type, 1 if it expires, size, elements>*
--        elements: of a string its bytes, of a hash and a sorted set pairs, of a stream none
-- cost   O(keys looked at * elements told)
local most, text, bitmap = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local SIZES = { hash = 'HLEN', list = 'LLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN', string = 'STRLEN' }
local READ = {
  list = function(key) return call('LRANGE', key, 0, -1) end,
  set = function(key) return call('SMEMBERS', key) end,
  zset = function(key) return call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
  hash = function(key)
    local fields = call('HGETALL', key)
    for i = 2, #fields, 2 do fields[i] = string.sub(fields[i], 1, text) end
    return fields
  end,
}
local function string_of(name, key, size)
  local of = string.match(name, '^job:%x+:(%l+)$')
  local is_bitmap = of == 'done' or of == 'out' or of == 'begun'
  if not is_bitmap then return { call('GETRANGE', key, 0, text - 1) } end
  return size <= bitmap and { call('GET', key) } or {}
end

local page, found = call('SCAN', ARGV[1], 'MATCH', prefix .. '*', 'COUNT', ARGV[2]), {}
for _, key in ipairs(page[2]) do
  local kind = call('TYPE', key).ok
  if SIZES[kind] then
    local name, size, held = string.sub(key, #prefix + 1), call(SIZES[kind], key), {}
    if kind == 'string' then
      held = string_of(name, key, size)
    elseif READ[kind] and size <= most then
      held = READ[kind](key)
    end
    found[#found + 1] = { name, kind, call('PEXPIRETIME', key) >= 0 and 1 or 0, size, held }
  end
end
return { page[1], now_ms(), found }
