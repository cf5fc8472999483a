-- expel: end what a lease was given under ids that are none, as only a foreign hand can write them: no
-- worker could tell of its end. Its record becomes a dead letter under an id of its own.
-- from   running                                to  failed (under another id)
-- keys   1 prefix
-- args   1 lease, then of each: the id as it is, another id, the error (JSON)
-- reply  <how many were there>
-- cost   O(ids)
local inflight, now, gone = inflight_key(ARGV[1]), now_ms(), 0
-- nothing above writes; every id is independent of the others
for i = 2, #ARGV, 3 do
  local id, other, failure = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  -- `#` is the number of the last call.
  if id ~= '#' then call('HDEL', inflight, id) end
  local record = call('HGET', TASKS, id)
  if record then
    call('HDEL', TASKS, id)
    call('ZREM', EXPIRY, id)
    settle().forget({ id })
    call('HSET', TASKS, other, record)
    local outcome = '{"v":1,"state":"failed","error":' .. failure .. ',"ended":' .. now .. '}'
    settle().fail_task(other, outcome, failure, KEEP_MS, now)
    gone = gone + 1
  else
    give_back_places({ id })
  end
end
return { gone }
