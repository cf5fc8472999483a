-- remember: remember the last number of a producer for a day from now, as each of its batches does.
-- Also a repeated batch, which writes nothing, is followed by a write in this way: whoever waits for
-- replicas then waits for all that was written before.
-- keys   1 prefix
-- args   1 producer
-- reply  ok
-- cost   O(1)
-- nothing above writes
call('PEXPIRE', producer_key(ARGV[1]), PRODUCER_MS)
return { 'ok' }
