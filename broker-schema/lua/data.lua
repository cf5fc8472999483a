-- data: a piece of data that the tasks of a job share.
-- keys   1 prefix
-- args   1 job  2 name of the data  3 number of the piece, from 0
-- reply  <number of pieces, 0: there is none> <the piece, or ''>
-- cost   O(1)
local key = job_key(ARGV[1]) .. ':data'
local pieces, piece = unpack(call('HMGET', key, ARGV[2], ARGV[2] .. ':' .. ARGV[3]))
return { tonumber(pieces) or 0, piece or '' }
