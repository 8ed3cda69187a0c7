-- Marks copies, if they are still there, as found in their owner's applied set now, by this server's clock.
--
-- KEYS  1 the owner's copies (hash)   2 marks (hash: batch id -> ms)   3 where a key 2 of another type is moved to
-- ARGV  the batch ids
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('RENAME', KEYS[2], KEYS[3]) end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for _, id in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[1], id) == 1 then redis.call('HSET', KEYS[2], id, now) end
end
