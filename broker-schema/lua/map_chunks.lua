-- map_chunks: how many chunks are done in each stretch of a job. Reads only.
-- keys   1 prefix
-- args   1 job  2 index of the first chunk, a multiple of 8  3 chunks of a stretch, 1 or a multiple of 8
--        4 how many stretches at most (512)
-- reply  <chunks of the job; 0: it is not kept> <for each stretch: chunks that are settled, chunks
--        that left their range>
-- cost   O(stretches + bytes of their bits): callers ask for at most 1 MiB of bits at once
local job, first, size, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), math.min(tonumber(ARGV[4]), 512)
local total = tonumber(call('HGET', job_key(job), 'total') or 0)
local stretches = math.min(most, math.ceil((total - first) / size))
local keys = { done_key(job), out_key(job) }
-- Few chunks ever leave their range: of most jobs there are no such bits.
local has = { call('EXISTS', keys[1]) == 1, call('EXISTS', keys[2]) == 1 }
local counts = {}
for stretch = 0, stretches - 1 do
  local lo = first + stretch * size
  for i, key in ipairs(keys) do
    local count = 0
    if has[i] and size == 1 then
      count = call('GETBIT', key, lo)
    elseif has[i] then
      count = call('BITCOUNT', key, lo / 8, (lo + size) / 8 - 1)
    end
    counts[#counts + 1] = count
  end
end
return { total, counts }
