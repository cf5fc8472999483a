-- note_audit: what somebody did is noted in the audit list, of which about the newest 10,000 are kept.
-- keys   1 prefix
-- args   1 what was done, JSON
-- reply  ok
-- cost   O(1)
-- nothing above writes
call('XADD', prefix .. 'audit', 'MAXLEN', '~', 10000, '*', 'entry', ARGV[1])
return { 'ok' }
