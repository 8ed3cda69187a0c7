-- Moves a key that should hold an owner's copies, and is of another type, out of the way.
--
-- KEYS  1 the owner's copies   2 where to   3 bytes for each owner (hash)
-- ARGV  1 owner
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'hash' or kind == 'none' then return 0 end
redis.call('RENAME', KEYS[1], KEYS[2])
if redis.call('TYPE', KEYS[3]).ok == 'hash' then redis.call('HDEL', KEYS[3], ARGV[1]) end
return 1
