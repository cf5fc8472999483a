-- records: the stored records of tasks that have not ended. Reads only.
-- keys   1 prefix
-- args   ids
-- reply  <for each id: its record or ''>, fewer than asked for if they are large
-- cost   O(ids), at most 4 MB beyond the first one
local MOST_BYTES = 4194304
local records, bytes = {}, 0
for i = 1, #ARGV do
  local record = call('HGET', TASKS, ARGV[i]) or ''
  bytes = bytes + #record
  if i > 1 and bytes > MOST_BYTES then break end
  records[i] = record
end
return records
