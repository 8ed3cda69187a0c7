-- Reads sketches.
--
-- KEYS  1 marks of copied sketches (hash)   2… sketches
-- ARGV  the sketches' names
-- Returns for each sketch its content, its digest and its mark; nothing where there is none.
local found = {}
for i, name in ipairs(ARGV) do
  local value, digest = content(KEYS[i + 1])
  found[i] = value and { value, digest, redis.call('HGET', KEYS[1], name) or '' } or false
end
return found
