-- results: what the members of a workflow came to, and what else their followers are given.
-- keys   1 prefix
-- args   1 job  2 whether the accumulators are wanted (1/0)  3 the barrier of a group whose added members are
--        wanted, or ''  4 how many of these were read before  5 bytes after which no more is read
--        then stretches of members: lo, hi (not included), at most 1,000 members in all
-- reply  <state of the job, '' if there is none> <accumulators, a JSON object, or ''>
--        <added members: lo, hi, …> <how many stretches of these were looked at, 0: that was the end>
--        <values of the members in their order, as many as were read; '' of those without one>
-- cost   O(members)
local job = ARGV[1]
local key = job_key(job)
local state = call('HGET', key, 'state') or ''

-- Stretches that were added to one group, of the next thousand.
local function fed(barrier, from)
  local stretches = {}
  local found = call('LRANGE', key .. ':fed', from, from + 999)
  for _, element in ipairs(found) do
    local of, lo, hi = string.match(element, '^(%S+) (%d+)%-(%d+)$')
    if of == barrier then
      stretches[#stretches + 1] = lo
      stretches[#stretches + 1] = hi
    end
  end
  return stretches, #found < 1000 and 0 or from + 1000
end

local values, bytes, most = {}, 0, tonumber(ARGV[5])
for at = 6, #ARGV, 2 do
  for lo = tonumber(ARGV[at]), tonumber(ARGV[at + 1]) - 1, 100 do
    if bytes > most then break end
    local fields = {}
    for index = lo, math.min(lo + 100, tonumber(ARGV[at + 1])) - 1 do
      fields[#fields + 1] = string.format('%.0f', index)
    end
    for _, value in ipairs(call('HMGET', key .. ':results', unpack(fields))) do
      values[#values + 1] = value or ''
      bytes = bytes + (value and #value or 0)
    end
  end
end
local stretches, next_fed = {}, 0
if ARGV[3] ~= '' then stretches, next_fed = fed(ARGV[3], tonumber(ARGV[4])) end
return { state, ARGV[2] == '1' and job_totals(job) or '', stretches, next_fed, values }
