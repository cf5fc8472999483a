-- losses: what is known of chunks whose workers were lost with whole runs of them. A lost run goes back
-- as one element, and nothing is written for each of its chunks: what happened to one of them follows
-- from the lost runs that it was in.
-- An element of `job:<id>:losses` is a lost run: the stretches of it that were neither settled nor out,
-- and the attempt in JSON, `0-9,12-14 {…}`. The newest ones stay, so that it is bounded: a few hundred
-- bytes each.
local losses_made
local function losses()
  if losses_made then return losses_made end
  local MOST_RUNS = 200
  -- So many stretches of a run are named. More of them has hardly any.
  local MOST_STRETCHES = 32
  -- So many lost runs of one chunk are told, the newest.
  local MOST_TOLD = 100

  -- The lost runs of a job, read once in a call.
  local read = {}
  local function runs_of(job)
    if read[job] then return read[job] end
    local runs = {}
    for i, element in ipairs(call('LRANGE', job_losses_key(job), 0, -1)) do
      -- Most have one stretch.
      local lo, hi, at = string.match(element, '^(%d+)%-(%d+) ()')
      local run = { tonumber(lo), tonumber(hi), element = element, at = at }
      if not at then
        local stretches
        stretches, run.at = string.match(element, '^(%S+) ()')
        for from, to in string.gmatch(stretches, '(%d+)%-(%d+)') do
          run[#run + 1], run[#run + 2] = tonumber(from), tonumber(to)
        end
      end
      runs[i] = run
    end
    read[job] = runs
    return runs
  end

  local function entry_of(run) return string.sub(run.element, run.at) end

  local function covers(run, index)
    for i = 1, #run, 2 do
      if run[i] <= index and index < run[i + 1] then return true end
    end
    return false
  end

  -- Where the first such bit of a map is in [lo, hi), or hi.
  local function seek(map, bit, lo, hi)
    if lo >= hi then return hi end
    local at = call('BITPOS', map, bit, lo, hi - 1, 'BIT')
    -- A map that is not there has its first 0 at 0.
    return at < 0 and hi or math.max(at, lo)
  end

  local function add_open_stretches(stretches, job, lo, hi)
    local done, out = done_key(job), out_key(job)
    for _ = 1, 2 * MOST_STRETCHES do
      local from = seek(done, 0, lo, hi)
      lo = seek(out, 0, from, hi)
      if lo >= hi or #stretches >= MOST_STRETCHES then return end
      if lo == from then
        lo = math.min(seek(done, 1, from, hi), seek(out, 1, from, hi))
        stretches[#stretches + 1] = string.format('%.0f-%.0f', from, lo)
      end
    end
  end

  -- Notes that a worker was lost with these pieces of a run. `entry`: its attempt, a line of JSON.
  local function note(pieces, entry)
    local job, stretches = range_of(pieces[1]), {}
    for i = #pieces, 1, -1 do
      local _, lo, hi = range_of(pieces[i])
      add_open_stretches(stretches, job, lo, hi)
    end
    if #stretches == 0 then return end
    call('RPUSH', job_losses_key(job), table.concat(stretches, ',') .. ' ' .. entry)
    call('LTRIM', job_losses_key(job), -MOST_RUNS, -1)
    read[job] = nil
  end

  -- All attempts in order of time: those of `lines`, and the lost ones.
  local function in_order(lines, entries)
    local all = {}
    for _, line in ipairs(entries) do all[#all + 1] = { line = line } end
    for line in string.gmatch(lines, '[^\n]+') do all[#all + 1] = { line = line } end
    for i, one in ipairs(all) do
      one.at = tonumber(string.match(one.line, '"ended":(%d+)')) or 0
      one.nth = i
    end
    table.sort(all, function(a, b) return a.at < b.at or a.at == b.at and a.nth < b.nth end)
    for i, one in ipairs(all) do all[i] = one.line end
    return table.concat(all, '\n')
  end

  -- The history of a chunk (`text`, or nothing) with the lost runs that it was in; what it tells already
  -- is not told twice. `least`: so many workers were lost with it at least, as its element says. Nil
  -- (or false) if there is nothing to tell.
  local function with(text, job, index, least)
    local failures, crashes, lines = string.match(text or '0 0', '^(%d+) (%d+)\n?(.*)$')
    local _, lost = string.gsub(lines, '"outcome":"lost"', '')
    local found, runs = {}, runs_of(job)
    for i = #runs, 1, -1 do
      local entry = covers(runs[i], index) and entry_of(runs[i])
      if entry and not string.find(lines, entry, 1, true) then
        lost = lost + 1
        if #found < MOST_TOLD then table.insert(found, 1, entry) end
      end
    end
    crashes = math.max(tonumber(crashes), lost, least or 0)
    if not text and crashes == 0 then return text end
    if #found > 0 then lines = in_order(lines, found) end
    return failures .. ' ' .. string.format('%.0f', crashes) .. (lines ~= '' and '\n' .. lines or '')
  end

  losses_made = { note = note, with = with }
  return losses_made
end
