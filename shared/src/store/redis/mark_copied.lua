-- Marks sketches as copied to their owner now, by this server's clock.
--
-- KEYS  1 marks of copied sketches (hash)
-- ARGV  for each: its name, then the run of the owner's server and its digest
-- A full server takes marks as well, since what is marked goes: the first write needs no memory.
redis.call('HDEL', KEYS[1], ARGV[1])
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], now .. ' ' .. ARGV[i + 1]) end
