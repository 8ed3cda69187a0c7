-- First contact with a shard that is new: creates its record, unless another program has just done so, and says who it is.
--
-- KEYS  1 the shard's record (hash)
-- ARGV  1 format   2 namespace   3 shard   4 identity to give it
local have = redis.call('HMGET', KEYS[1], 'format', 'namespace', 'name', 'identity')
if have[4] then return { have[1] or '', have[2] or '', have[3] or '', have[4] } end
redis.call('HSET', KEYS[1], 'format', ARGV[1], 'namespace', ARGV[2], 'name', ARGV[3], 'identity', ARGV[4])
return { ARGV[1], ARGV[2], ARGV[3], ARGV[4] }
