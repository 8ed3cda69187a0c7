-- Moves a shard's roll-up on, if it is still where the caller knows it. Returns whether it did.
--
-- KEYS  1 how far days have been rolled up (hash)   2 marks of copied sketches (hash)
-- ARGV  1 the pass that is known, or empty for none   2 the next one   3 1: the marks go; 0: they stay
if (redis.call('HGET', KEYS[1], 'pass') or '') ~= ARGV[1] then return 0 end
-- The roll-up frees memory: its first write needs none, and a full server refuses nothing after it.
redis.call('HDEL', KEYS[1], 'pass')
redis.call('HSET', KEYS[1], 'pass', ARGV[2])
if ARGV[3] == '1' then redis.call('DEL', KEYS[2]) end
return 1
