-- audit: a page of the audit list, the newest entries first. Reads only.
-- keys   1 prefix
-- args   1 entry behind which to begin, or '+'  2 most entries
-- reply  <now> <entries> <what was done, of each>
-- cost   O(entries)
local from = ARGV[1] == '+' and '+' or '(' .. ARGV[1]
local entries, texts = {}, {}
for i, entry in ipairs(call('XREVRANGE', prefix .. 'audit', from, '-', 'COUNT', ARGV[2])) do
  entries[i], texts[i] = entry[1], entry[2][2]
end
return { now_ms(), entries, texts }
