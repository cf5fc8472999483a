-- move_queue: carry what waits in one queue over to another, a bite at a time: order, priorities and
-- suspects stay what they are.
-- keys   1 prefix
-- args   1 from  2 to, another queue  3 ready | delayed  4 cursor of the delayed ones, from 0
--        5 elements at most (of ready ones at most 1,000); what is met beyond them is passed over
-- reply  ok <now ms> <elements moved> <tasks and chunks in them> <elements left> <cursor, 0: end>
--        left: in the lists; what is delayed is not counted
-- cost   O(elements); a bite of delayed ones looks at about 300, of whatever queue
local from, to, where, cursor, limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local now = now_ms()
local tasks, left, elements = 0, 0, {}

-- nothing above writes
local function put(element, priority, due)
  if due then
    call('ZADD', DELAYED, due, priority .. ':' .. to .. ':' .. element)
  elseif priority then
    push_back(to, priority, element)
  else
    call('RPUSH', suspects_key(to), element)
  end
  tasks = tasks + 1 + extra_chunks(string.match(element, '^%d:(.+)$') or element)
end

if where == 'ready' then
  elements = shift(from, limit, put)
  left = elements_in(from)
else
  cursor, elements = shift_delayed(from, cursor, limit, put)
end
if #elements > 0 then
  call('SADD', prefix .. 'queues', to)
  ring(to)
end
return { 'ok', now, #elements, tasks, left, cursor }
