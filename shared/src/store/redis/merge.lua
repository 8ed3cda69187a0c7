-- Merges sketches into those that are here. Doing it again changes nothing.
--
-- KEYS  1 where one is put to be merged (text)   2… sketches   ARGV  their contents
-- Returns 1 for each that was merged, and 0 where the content or what is here is no sketch.
local merged = {}
for i, value in ipairs(ARGV) do
  -- A full server takes it as well, since the sketch then goes elsewhere: the first write needs no memory.
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], value)
  local answer = redis.pcall('PFMERGE', KEYS[i + 1], KEYS[1])
  merged[i] = answer.ok and 1 or 0
end
redis.call('DEL', KEYS[1])
return merged
