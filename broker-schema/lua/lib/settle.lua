-- settle: how tasks and jobs end: outcome, watchers, dead letters, the barrier of a job.

-- The head of a history entry counts failures and crashes; the lines below it are the attempts.
local function history_counts(text)
  if not text then return 0, 0 end
  local failures, crashes = string.match(text, '^(%d+) (%d+)')
  -- What a foreign hand has written counts for nothing.
  return tonumber(failures) or 0, tonumber(crashes) or 0
end

-- Jobs whose chunks are wired to one another: see lib/workflow.
local workflow

-- All that is needed only when something ends: made on the first use in a call.
local settle_made
local function settle()
  if settle_made then return settle_made end
  local WATCHERS = prefix .. 'watchers'
  local CHECKPOINTS = prefix .. 'checkpoints'
  local WAITING = prefix .. 'waiting'
  local DEAD = prefix .. 'dead'
  local DEAD_TASKS = prefix .. 'dead:tasks'
  local JOBS_OPEN = prefix .. 'jobs:open'
  local JOBS_ENDED = prefix .. 'jobs:ended'
  local CANCELS = prefix .. 'cancels'
  local MOVED = prefix .. 'moved'
  -- Dead tasks are kept for people to look at, bounded by number and by age (30 days) unless
  -- `settings` say otherwise.
  local DEAD_MAX = 10000
  local DEAD_AGE_MS = 2592000000
  -- Longer means for ever, and is beyond what Redis takes.
  local MAX_KEEP_MS = 4503599627370496
  -- The history of one task is bounded; the newest attempts stay.
  local HISTORY_BYTES = 32768

  -- Tells those who wait for these ids. Waiting is registered per id in `watchers` (by `watch`);
  -- a message is only a hint, whoever waits reads the outcome itself.
  local function tell_watchers(ids)
    if call('HLEN', WATCHERS) == 0 then return end
    local by_client, gone = {}, {}
    for i = 1, #ids, UNPACK do
      local last = math.min(i + UNPACK - 1, #ids)
      local found = call('HMGET', WATCHERS, unpack(ids, i, last))
      for k, clients in ipairs(found) do
        if clients then
          local id = ids[i + k - 1]
          gone[#gone + 1] = id
          for client in string.gmatch(clients, '%x+') do
            by_client[client] = (by_client[client] and by_client[client] .. ' ' or '') .. id
          end
        end
      end
    end
    each_bite('HDEL', WATCHERS, gone)
    for client, list in pairs(by_client) do call('PUBLISH', prefix .. 'ended:' .. client, list) end
  end

  -- Tasks leave for good, however they ended: what is kept beside their records goes, too.
  local function forget(ids)
    if call('EXISTS', HISTORY) == 1 then each_bite('HDEL', HISTORY, ids) end
    if call('EXISTS', CANCELS) == 1 then each_bite('HDEL', CANCELS, ids) end
    give_back_places(ids)
    if call('EXISTS', CHECKPOINTS) == 1 then each_bite('HDEL', CHECKPOINTS, ids) end
    if call('EXISTS', MOVED) == 1 then each_bite('HDEL', MOVED, ids) end
    if call('EXISTS', prefix .. 'locks') == 1 then locks().ended(ids) end
  end

  local function keep_outcome(id, outcome, keep)
    if tonumber(keep) > 0 then call('SET', RESULT .. id, outcome, 'PX', keep) end
  end

  -- What the record of a task says that no worker will read: for how long (ms) the outcome of anything
  -- but a success is kept, and the fields of the outcome that name the task and its queue.
  -- Large ones are not parsed: it would take too long.
  local MOST_PARSED = 8192
  local function terms_of_end(id, record)
    if #record > MOST_PARSED then
      local task = terms_of(record)
      return KEEP_MS, task and ',"task":"' .. task .. '"' or ''
    end
    local readable, fields = pcall(cjson.decode, record)
    if not readable or type(fields) ~= 'table' then return KEEP_MS, '' end
    local function named(name, text)
      if type(text) ~= 'string' then return '' end
      return ',"' .. name .. '":' .. string.gsub(cjson.encode(text), '\\/', '/')
    end
    local keep = tonumber(fields.keep_failed_ms) or tonumber(fields.keep_ms) or KEEP_MS
    local queue = call('HGET', MOVED, id) or fields.queue
    return string.format('%.0f', math.min(keep, MAX_KEEP_MS)),
      named('task', fields.task) .. (queue ~= 'default' and named('queue', queue) or '')
  end

  -- A task that was not started in time ends; its outcome is returned, and the bytes of its record. What
  -- waited of it in lists is dropped when it is met.
  local function expire_task(id, now)
    call('ZREM', EXPIRY, id)
    local record = call('HGET', TASKS, id)
    local keep, names = KEEP_MS, ''
    if record then keep, names = terms_of_end(id, record) end
    local outcome = '{"v":1,"state":"expired"' .. names .. ',"ended":' .. now .. '}'
    if record then
      call('HDEL', TASKS, id)
      forget({ id })
      call('HINCRBY', STATS, 'expired', 1)
      keep_outcome(id, outcome, keep)
      tell_watchers({ id })
    end
    return outcome, record and #record or 0
  end

  -- Of the dead letters those that are too old leave, and of the others the oldest if there are too many:
  -- at most `limit`. Returns how many.
  local function trim_dead(now, limit)
    local set = call('HMGET', prefix .. 'settings', 'dead_max', 'dead_age_ms')
    local gone = 0
    local function drop(ids)
      if #ids == 0 then return end
      call('ZREM', DEAD, unpack(ids))
      call('HDEL', DEAD_TASKS, unpack(ids))
      gone = gone + #ids
    end
    drop(call('ZRANGEBYSCORE', DEAD, '-inf', now - (tonumber(set[2]) or DEAD_AGE_MS), 'LIMIT', 0, limit))
    local over = math.min(call('ZCARD', DEAD) - (tonumber(set[1]) or DEAD_MAX), limit - gone)
    if over > 0 then drop(call('ZRANGE', DEAD, 0, over - 1)) end
    return gone
  end

  -- Keeps a final failure for people to look at and revive; the oldest leave in small bites.
  -- `more`: further fields of the document.
  local function bury(id, record, outcome, now, more)
    call('ZADD', DEAD, now, id)
    call('HSET', DEAD_TASKS, id,
      '{"record":' .. (record or 'null') .. (more or '') .. ',"outcome":' .. outcome .. '}')
    trim_dead(now, 10)
  end

  -- Appends one attempt (a JSON line) to a history and returns the new text.
  local function history_add(text, failures, crashes, entry)
    local lines = text and string.match(text, '\n(.*)$') or ''
    while #lines > HISTORY_BYTES do
      lines = string.match(lines, '\n(.*)$') or ''
    end
    if lines ~= '' then lines = lines .. '\n' end
    return failures .. ' ' .. crashes .. '\n' .. lines .. entry
  end

  -- The attempts of a history as a JSON array.
  local function history_json(text)
    return '[' .. string.gsub(string.match(text, '\n(.*)$') or '', '\n', ',') .. ']'
  end

  -- Ends a job: its keys live on until its retention is over, then nothing is left.
  local function end_job(job, state, now, keep)
    local key = job_key(job)
    local ttl = math.max(tonumber(keep), 1)
    call('HSET', key, 'state', state, 'ended', now)
    tell_watchers({ job .. ':p' })
    call('ZREM', JOBS_OPEN, job)
    local forgotten = call('ZRANGEBYSCORE', JOBS_ENDED, '-inf', now, 'LIMIT', 0, 10)
    if #forgotten > 0 then call('ZREM', JOBS_ENDED, unpack(forgotten)) end
    call('ZADD', JOBS_ENDED, now + ttl, job)
    for _, each in ipairs({ key, done_key(job), out_key(job), job_history_key(job), job_losses_key(job) }) do
      call('PEXPIRE', each, ttl)
    end
    if call('HEXISTS', key, 'graph') == 1 then workflow().ended(job, state, ttl) end
    -- Nobody goes on with its chunks.
    call('UNLINK', job_checkpoints_key(job), job_running_key(job), key .. ':parked')
    call('SREM', prefix .. 'jobs:speculate', job)
  end

  -- A job's final failure: the first chunk (or the reducer) that fails for good ends it, and the
  -- outcome names it. What the job still has in lists or in flight is dropped when it is met.
  local function fail_job(job, failed_id, failure, now)
    local key = job_key(job)
    local keep = call('HGET', key, 'keep') or KEEP_MS
    call('HSET', key, 'failed_task', failed_id, 'failure', failure)
    end_job(job, 'failed', now, keep)
    call('HDEL', TASKS, job)
    forget({ job })
    call('HDEL', WAITING, job)
    call('HDEL', INPUTS, job)
    keep_outcome(job, '{"v":1,"state":"failed","failed_task":"' .. failed_id .. '","error":' .. failure
      .. ',"ended":' .. now .. '}', keep)
    tell_watchers({ job })
  end

  -- The barrier of a job opens: in the script that settled its last chunk, hence exactly once.
  local function open_barrier(job, now)
    local totals = job_totals(job)
    local place = call('HGET', WAITING, job)
    if place then
      local priority, queue = string.match(place, '^(%d):(.+)$')
      call('HDEL', WAITING, job)
      call('HSET', INPUTS, job, totals)
      call('HSET', job_key(job), 'state', 'reducing')
      push_back(queue, priority, job)
      ring(queue)
    else
      local keep = call('HGET', job_key(job), 'keep') or KEEP_MS
      end_job(job, 'succeeded', now, keep)
      keep_outcome(job, '{"v":1,"state":"succeeded","result":' .. totals .. ',"ended":' .. now .. '}', keep)
      tell_watchers({ job })
    end
  end

  -- A chunk fails for good: its bit flips once, its attempts stay with the job, the job ends; unless it is
  -- a member whose failure is caught. `place`: where it came from.
  local function fail_chunk(job, index, id, outcome, failure, place, now)
    local key = job_key(job)
    local state, graph = unpack(call('HMGET', key, 'state', 'graph'))
    if state ~= 'running' then return end
    if call('SETBIT', done_key(job), index, 1) == 1 then return end
    call('HINCRBY', key, 'failed', 1)
    call('HINCRBY', STATS, 'failed', 1)
    tell_watchers({ job .. ':p' })
    local record = graph and call('HGET', workflow().members_key(job), index) or call('HGET', key, 'spec')
    bury(id, record, outcome, now)
    if graph and workflow().member_failed(job, tonumber(index), failure, place, now) then return end
    fail_job(job, id, failure, now)
  end

  -- A task that is not a chunk fails for good. `failure` is the error alone, `outcome` all of it.
  local function fail_task(id, outcome, failure, keep, now)
    local record = call('HGET', TASKS, id)
    local reduces = call('HDEL', INPUTS, id) == 1
    local lock = call('HGET', prefix .. 'locks', id)
    bury(id, record, outcome, now,
      (reduces and ',"job":true' or '') .. (lock and ',"lock":' .. cjson.encode(lock) or ''))
    call('HDEL', TASKS, id)
    forget({ id })
    call('HINCRBY', STATS, 'failed', 1)
    if reduces then
      fail_job(id, id, failure, now)
    else
      keep_outcome(id, outcome, keep)
      tell_watchers({ id })
    end
  end

  -- A task ends because somebody said so. `outcome` holds all of it.
  local function cancel_task(id, outcome, keep, now)
    call('HDEL', TASKS, id)
    call('ZREM', EXPIRY, id)
    forget({ id })
    call('HINCRBY', STATS, 'cancelled', 1)
    if call('HDEL', INPUTS, id) == 1 then
      keep = call('HGET', job_key(id), 'keep') or KEEP_MS
      end_job(id, 'cancelled', now, keep)
    end
    keep_outcome(id, outcome, keep)
    tell_watchers({ id })
  end

  -- The same for a running job. What it has in lists and in flight is dropped when it is met, as that
  -- of a job that failed.
  local function cancel_job(job, outcome, now)
    local keep, total, done, failed = unpack(call('HMGET', job_key(job), 'keep', 'total', 'done', 'failed'))
    keep = keep or KEEP_MS
    end_job(job, 'cancelled', now, keep)
    call('HDEL', TASKS, job)
    call('HDEL', WAITING, job)
    forget({ job })
    call('HINCRBY', STATS, 'cancelled', total - done - failed)
    keep_outcome(job, outcome, keep)
    tell_watchers({ job })
    call('PUBLISH', prefix .. 'told', job)
  end

  -- The outcome of a task that no worker ended. `note`: who and why, as the rest of an object.
  local function cancelled_outcome(note, text, now)
    local attempts = text and ',"attempts":' .. history_json(text) or ''
    return '{"v":1,"state":"cancelled","ended":' .. now .. note .. attempts .. '}'
  end

  settle_made = {
    cancel_task = cancel_task,
    cancel_job = cancel_job,
    cancelled_outcome = cancelled_outcome,
    tell_watchers = tell_watchers,
    forget = forget,
    keep_outcome = keep_outcome,
    terms_of_end = terms_of_end,
    expire_task = expire_task,
    trim_dead = trim_dead,
    history_add = history_add,
    history_json = history_json,
    end_job = end_job,
    open_barrier = open_barrier,
    fail_chunk = fail_chunk,
    fail_task = fail_task,
  }
  return settle_made
end

-- A task that would go on, and was asked for meanwhile to be cancelled, ends here: what was asked
-- of a running task outlives its worker. `text`: its history. Returns whether it has ended.
local cancels_exist
local function ends_as_cancelled(id, text, now)
  local CANCELS = prefix .. 'cancels'
  if cancels_exist == nil then cancels_exist = call('EXISTS', CANCELS) == 1 end
  local flag = cancels_exist and call('HGET', CANCELS, id)
  if not flag then return false end
  local keep, note = string.match(flag, '^{"at":%d+,"keep":(%d+)(.*)}$')
  settle().cancel_task(id, settle().cancelled_outcome(note, text, now), keep, now)
  return true
end
