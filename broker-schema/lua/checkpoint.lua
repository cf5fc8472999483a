-- checkpoint: keep the states of attempts under way; the attempts after them go on from there. It
-- has no right to more memory when Redis is full: then nothing is kept, and the older states stay.
-- from   running                                to  running
-- keys   1 prefix
-- args   1 lease, then of each: name in flight, index of the chunk or '', attempt, state
-- reply  a word of each, in order: saved | lost (not held any more, or its job is over)
-- cost   O(states), and their bytes
local inflight = inflight_key(ARGV[1])
local words = {}

-- nothing above writes; every state is independent of the others
for i = 2, #ARGV, 4 do
  local saved = attempts().keep_state(inflight, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
  words[#words + 1] = saved and 'saved' or 'lost'
end
-- Workers of a version that knows nothing of states end tasks and leave their states behind. Each
-- call looks at one, so that they go as others come.
local any = call('HRANDFIELD', prefix .. 'checkpoints')
if any and call('HEXISTS', TASKS, any) == 0 then call('HDEL', prefix .. 'checkpoints', any) end
return words
