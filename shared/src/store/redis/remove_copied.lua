-- Deletes sketches that another shard has, where they have not changed.
--
-- KEYS  1 marks of copied sketches (hash)   2… sketches
-- ARGV  for each: its name, its digest
-- Returns how many were deleted.
local removed = 0
for i = 2, #KEYS do
  local value, digest = content(KEYS[i])
  if value and digest == ARGV[2 * i - 2] then
    removed = removed + redis.call('DEL', KEYS[i])
    redis.call('HDEL', KEYS[1], ARGV[2 * i - 3])
  end
end
return removed
