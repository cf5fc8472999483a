-- base: what every script shares: the prefix of all keys, the time, the bell.
-- KEYS[1] is always the prefix, `{<namespace>:<shard>}:`. Every other key is built
-- under it, so all of them carry the same hash tag and live in the same slot.
local call = redis.call
local prefix = KEYS[1]

-- The functions and names of a script are made anew with every call, and cost a microsecond for
-- ten or so. Here is what nearly every call needs; what few need is made where it is needed.
local TASKS = prefix .. 'tasks'
local HISTORY = prefix .. 'history'
local INPUTS = prefix .. 'inputs'
local DELAYED = prefix .. 'delayed'
local EXPIRY = prefix .. 'expiry'
local LEASES = prefix .. 'leases'
local STATS = prefix .. 'stats'
local RESULT = prefix .. 'result:'

-- Lua on Redis fails when more than about 8,000 values are unpacked at once.
local UNPACK = 2000
-- How long the outcome of a task is kept whose record does not say otherwise: one day.
local KEEP_MS = 86400000

local function now_ms()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Calls `command key …values` in bites that `unpack` can take.
local function each_bite(command, key, values)
  for i = 1, #values, UNPACK do
    call(command, key, unpack(values, i, math.min(i + UNPACK - 1, #values)))
  end
end

local function inflight_key(lease) return prefix .. 'inflight:' .. lease end
local function job_key(job) return prefix .. 'job:' .. job end
-- One bit per chunk. done: settled for good. out: left the range, goes its own way (retried alone).
local function done_key(job) return prefix .. 'job:' .. job .. ':done' end
local function out_key(job) return prefix .. 'job:' .. job .. ':out' end
local function job_history_key(job) return prefix .. 'job:' .. job .. ':history' end
-- Lost runs (see lib/losses).
local function job_losses_key(job) return prefix .. 'job:' .. job .. ':losses' end
-- Of jobs with second starts: chunk → since when it runs.
local function job_running_key(job) return prefix .. 'job:' .. job .. ':running' end
local function job_checkpoints_key(job) return prefix .. 'job:' .. job .. ':checkpoints' end

-- Wakes one idle worker of a queue. One token is enough: whoever takes it and leaves work
-- behind rings again, so that wake-ups go on one by one and never as a herd. The name of the queue may
-- have been forgotten (see lib/names), unless it is rung `for_nothing` that is in it.
local function ring(queue, for_nothing)
  local bell = prefix .. 'bell:' .. queue
  if call('LLEN', bell) > 0 then return end
  call('RPUSH', bell, '1')
  if not for_nothing then call('SADD', prefix .. 'queues', queue) end
end
