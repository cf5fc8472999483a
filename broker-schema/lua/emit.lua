-- emit: append partial results of attempts under way to the streams of their tasks. It has no right to
-- more memory when Redis is full: then nothing is appended.
-- from   running                                to  running
-- keys   1 prefix
-- args   1 lease, then of each: name in flight, index of the chunk or '', attempt, id, number of values,
--        the values
-- reply  a word of each, in order: saved | lost (not held any more, or its job is over)
-- cost   O(values), and their bytes
-- The newest values stay, about so many.
local MOST = 1000
local inflight = inflight_key(ARGV[1])
local words, at = {}, 2

-- nothing above writes; every stream is independent of the others
while ARGV[at] do
  local attempt, n = ARGV[at + 2], tonumber(ARGV[at + 4])
  local held = attempts().holds(inflight, ARGV[at], ARGV[at + 1], attempt)
  if held and n > 0 then
    local key = prefix .. 'stream:' .. ARGV[at + 3]
    for i = at + 5, at + 4 + n do
      call('XADD', key, 'MAXLEN', '~', MOST, '*', 'attempt', attempt, 'value', ARGV[i])
    end
    call('PEXPIRE', key, KEEP_MS)
  end
  words[#words + 1] = held and 'saved' or 'lost'
  at = at + 5 + n
end
return words
