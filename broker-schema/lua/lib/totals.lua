-- totals: the accumulators of a job as one JSON object: what its reducer gets, or its result. The field
-- `acc:<name>` of the job holds a number, the fields `acc:<name>:<key>` together a map of numbers.
-- `names`: which accumulators, if not all.
local function job_totals(job, names)
  local fields = call('HGETALL', job_key(job))
  local wanted, parts, maps = names and {}, {}, {}
  for _, name in ipairs(names or {}) do wanted[name] = true end
  for i = 1, #fields, 2 do
    local name, key = string.match(fields[i], '^acc:([^:]+):?(.*)$')
    if name and (not wanted or wanted[name]) then
      if key == '' and fields[i] == 'acc:' .. name then
        parts[#parts + 1] = '"' .. name .. '":' .. fields[i + 1]
      else
        maps[name] = maps[name] or {}
        table.insert(maps[name], cjson.encode(key) .. ':' .. fields[i + 1])
      end
    end
  end
  for name, entries in pairs(maps) do
    table.sort(entries)
    parts[#parts + 1] = '"' .. name .. '":{' .. table.concat(entries, ',') .. '}'
  end
  table.sort(parts)
  return '{' .. table.concat(parts, ',') .. '}'
end

