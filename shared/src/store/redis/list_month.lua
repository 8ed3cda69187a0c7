-- Replaces a month's top list.
--
-- KEYS  1 the list (sorted set)
-- ARGV  score, page, score, page, …
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'none' and kind ~= 'zset' then return 0 end
redis.call('DEL', KEYS[1])
return redis.call('ZADD', KEYS[1], unpack(ARGV))
