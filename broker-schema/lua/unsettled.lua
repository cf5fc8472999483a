-- unsettled: members of a workflow that have begun and are not settled, with their records. Reads only.
-- keys   1 prefix
-- args   1 job  2 index to begin at  3 members at most (1,000)  4 bytes after which no more is read
-- reply  <where to go on, '' at the end> <index, whether it goes its own way (1/0), record, …>
-- cost   O(members + bytes of their bits)
local job, at, most, bytes = ARGV[1], tonumber(ARGV[2]), math.min(tonumber(ARGV[3]), 1000), tonumber(ARGV[4])
local key = job_key(job)
local total = tonumber(call('HGET', key, 'total') or 0)
local found, looks = {}, 0
while at < total and #found < 3 * most and bytes > 0 and looks < 3000 do
  looks = looks + 1
  if call('GETBIT', key .. ':begun', at) == 0 then
    at = call('BITPOS', key .. ':begun', 1, at, -1, 'BIT')
    if at < 0 then at = total end
  elseif call('GETBIT', done_key(job), at) == 1 then
    at = call('BITPOS', done_key(job), 0, at, -1, 'BIT')
    if at < 0 then at = total end
  else
    local index = string.format('%.0f', at)
    local record = call('HGET', key .. ':members', index)
    if record then
      found[#found + 1], found[#found + 2] = index, call('GETBIT', out_key(job), at)
      found[#found + 1] = record
      bytes = bytes - #record
    end
    at = at + 1
  end
end
return { at < total and string.format('%.0f', at) or '', found }
