-- Marks copies, if they are still there, as found in their owner's applied set now, by this server's clock.
--
-- KEYS  1 the owner's copies (hash)   2 marks (hash: batch id -> "<ms> <run of the owner's server>")   3 where a key 2 of another type is moved to
-- ARGV  for each copy: batch id, run of the owner's server
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('RENAME', KEYS[2], KEYS[3]) end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for i = 1, #ARGV, 2 do
  -- A full server takes marks as well, since what is marked goes: the first write needs no memory.
  redis.call('HDEL', KEYS[2], ARGV[i])
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[2], ARGV[i], now .. ' ' .. ARGV[i + 1])
  end
end
