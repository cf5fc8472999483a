-- tree: how far stretches of the members of a workflow are. Reads only.
-- keys   1 prefix
-- args   1 job, then for each stretch: lo, hi (not included); at most 500
-- reply  <for each: members that are settled, members that have begun (are ready, or were)>
-- cost   O(stretches + bytes of their bits)
local done, begun = done_key(ARGV[1]), job_key(ARGV[1]) .. ':begun'
local counts = {}
for i = 2, math.min(#ARGV, 1001), 2 do
  local lo, hi = ARGV[i], ARGV[i + 1] - 1
  counts[#counts + 1] = call('BITCOUNT', done, lo, hi, 'BIT')
  counts[#counts + 1] = call('BITCOUNT', begun, lo, hi, 'BIT')
end
return counts
