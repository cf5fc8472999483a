-- fleet: the keys of a whole namespace, under `{<namespace>}:`: who its workers are.
local call = redis.call
local prefix = KEYS[1]
local WORKERS = prefix .. 'workers'

local function worker_key(lease) return prefix .. 'worker:' .. lease end
