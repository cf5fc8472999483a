-- history: figures of the past, as `tally` has added them up. Reads only.
-- keys   1 prefix
-- args   1 level: minute | ten | hour | total  2 from (ms)  3 to (ms)
-- reply  <now ms> <since ms, 0: nothing was told yet> <until ms: what of the minutes before is in this level>
--        <where to go on (ms), 0 at the end> <start of a bucket, its fields and values; ...>
--        Buckets that are not there had nothing, or are not kept so long, or it was before the beginning.
-- cost   O(buckets), at most 60, with 3,000 fields or a few more
local BUCKETS, FIELDS = 60, 3000
local level, from, to = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local state = call('HMGET', prefix .. 'figures', 'since', level)
local length = LEVELS[level][1]
local found, fields = {}, 0

local function look(at)
  local bucket = call('HGETALL', bucket_key(level, at))
  if #bucket == 0 then return end
  found[#found + 1] = at
  found[#found + 1] = bucket
  fields = fields + #bucket / 2
end

local next_at = 0
if length == 0 then
  look(0)
else
  local at, n = from - from % length, 0
  while at <= to and n < BUCKETS and fields < FIELDS do
    look(at)
    at, n = at + length, n + 1
  end
  if at <= to then next_at = at end
end
return { now_ms(), state[1] or '0', state[2] or '0', next_at, found }
