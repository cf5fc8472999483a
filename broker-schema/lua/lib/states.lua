-- states: what attempts leave for the attempts after them (checkpoints), and whose right that is.

-- Whether chunk `index` was handed back out of a run in flight, by the value of the run.
local function is_handed_back(value, index)
  local spans = string.match(value, '^%d+:%d+:%d:[^:]+:%d+(.*)$')
  for lo, hi in string.gmatch(spans or '', '(%d+)%-(%d+)') do
    if tonumber(lo) <= index and index < tonumber(hi) then return true end
  end
  return false
end

-- Made on the first use: few calls have to do with the right of one attempt.
local attempts_made
local function attempts()
  if attempts_made then return attempts_made end

  -- Whether a chunk is still a matter of the run that it came with, or of itself.
  local function is_open(field, value, index)
    local job, lo, hi = range_of(field)
    if job and (index < lo or index >= hi or is_handed_back(value, index)) then return false end
    if job and call('GETBIT', out_key(job), index) == 1 then return false end
    job = job or string.match(field, '^%x+')
    return call('HGET', job_key(job), 'state') == 'running' and call('GETBIT', done_key(job), index) == 0
  end

  -- Whether a lease holds this very attempt. `field`: its name in flight. `index`: its chunk, or ''.
  local function holds(inflight, field, index, attempt)
    local value = call('HGET', inflight, field)
    if not value or string.match(value, '^%d+') ~= attempt then return false end
    return index == '' or is_open(field, value, tonumber(index))
  end

  -- Keeps the state of an attempt, if the lease holds it. Returns whether it did.
  local function keep_state(inflight, field, index, attempt, state)
    if not holds(inflight, field, index, attempt) then return false end
    if index == '' then
      call('HSET', prefix .. 'checkpoints', field, state)
    else
      call('HSET', job_checkpoints_key(string.match(field, '^%x+')), index, state)
    end
    return true
  end

  attempts_made = { holds = holds, keep_state = keep_state }
  return attempts_made
end
