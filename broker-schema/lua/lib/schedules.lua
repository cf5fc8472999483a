-- schedules: what is stored of them. A name has one hash with all that is known of it, a place in
-- `schedules` (all names, in their order), and while it is not paused one in `schedules:due`.
local SCHEDULES = prefix .. 'schedules'
local SCHEDULES_DUE = prefix .. 'schedules:due'

local function schedule_key(name) return prefix .. 'schedule:' .. name end

local function set_due(name, due)
  if due == '' then
    call('ZREM', SCHEDULES_DUE, name)
  else
    call('ZADD', SCHEDULES_DUE, due, name)
  end
end
