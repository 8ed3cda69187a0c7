-- First contact with a shard: says who it is, and creates its record if an identity is given.
--
-- KEYS  1 the shard's record (hash)
-- ARGV  1 format   2 namespace   3 shard   4 identity to give it if it has none; empty: only look
local have = redis.call('HMGET', KEYS[1], 'format', 'namespace', 'name', 'identity')
if not have[4] and ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'format', ARGV[1], 'namespace', ARGV[2], 'name', ARGV[3], 'identity', ARGV[4])
  return { ARGV[1], ARGV[2], ARGV[3], ARGV[4] }
end
return { have[1] or '', have[2] or '', have[3] or '', have[4] or '' }
