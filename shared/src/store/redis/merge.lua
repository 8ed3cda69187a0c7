-- Merges sketches into those that are here. Doing it again changes nothing.
--
-- KEYS  1 where one is put to be merged (text)   2… sketches
-- ARGV  their contents
-- Returns 1 for each that was merged, and 0 where the content or what is here is no sketch.
local merged = {}
for i, value in ipairs(ARGV) do
  local key = KEYS[i + 1]
  local kind = redis.call('TYPE', key).ok
  merged[i] = 0
  if kind == 'none' or kind == 'string' then
    -- A full server takes it as well, since the sketch then goes elsewhere: the first write needs no memory.
    redis.call('DEL', KEYS[1])
    redis.call('SET', KEYS[1], value)
    if pcall(redis.call, 'PFMERGE', key, KEYS[1]) then merged[i] = 1 end
    redis.call('DEL', KEYS[1])
  end
end
return merged
