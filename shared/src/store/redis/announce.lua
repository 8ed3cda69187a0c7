-- Puts a ring in force. Where it is, and pages move by it, the shard's pass goes on.
--
-- KEYS  1 the shard's record (hash)
-- ARGV  1 ring   2 the shards that may hold something
local have = redis.call('HMGET', KEYS[1], 'ring', 'moving', 'late')
-- Pages may leave a full server: the first write needs no memory.
redis.call('HDEL', KEYS[1], 'members')
if have[1] == ARGV[1] and have[2] then
  redis.call('HSET', KEYS[1], 'members', ARGV[2])
else
  local pass = 'take ' .. (have[3] or '0') .. ' 0 0'
  redis.call('HSET', KEYS[1], 'ring', ARGV[1], 'moving', 1, 'members', ARGV[2], 'pass', pass)
end
