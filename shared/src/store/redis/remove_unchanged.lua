-- Deletes texts that are what they were when they were read. Returns how many.
--
-- KEYS  the texts   ARGV  what they were
local removed = 0
for i, value in ipairs(ARGV) do
  if redis.pcall('GET', KEYS[i]) == value then removed = removed + redis.call('DEL', KEYS[i]) end
end
return removed
