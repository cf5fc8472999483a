-- job: all that is stored of one job. Reads only.
-- keys   1 prefix
-- args   1 job
-- reply  <now ms> <its hash as a flat list, empty if it is not kept>
-- cost   O(accumulators)
return { now_ms(), call('HGETALL', job_key(ARGV[1])) }
