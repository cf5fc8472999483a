-- figures: what workers and producers have counted, by time. A bucket is a hash. Its fields:
--   <queue> <task>    figures of tasks of this name from this queue, JSON: counts, `ws` and `rs` (µs waited
--                     and run, summed up), `w<n>` and `r<n>` (how many waited or ran so long)
--   *                 what was counted in the namespace, whoever did it, JSON
--   !                 the longest time (ms) after which somebody could tell only now what was counted
--   #                 what waited when the bucket was begun, JSON: ready by queue, delayed, leases
-- Minutes are added to coarser buckets when they are over. A bucket has at most about 120 fields:
-- with more queues and tasks, some go under the name of `(other)`.
local MINUTE_MS = 60000
-- Each level with the length of its buckets, and for how long they are kept (ms). What is 0 long is
-- one hash that is kept for ever.
local LEVELS = { minute = { 60000, 21600000 }, ten = { 600000, 172800000 }, hour = { 3600000, 1209600000 },
  total = { 0, 0 } }

local function bucket_key(level, at)
  if LEVELS[level][1] == 0 then return prefix .. 'figures:' .. level end
  return string.format('%sfigures:%s:%.0f', prefix, level, at - at % LEVELS[level][1])
end
