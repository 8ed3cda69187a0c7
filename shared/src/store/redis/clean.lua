-- Deletes the notes of moves that are over from the records of pages, if the shard stands where the caller has seen it.
--
-- KEYS  1 the shard's record (hash)   2… the pages
-- ARGV  1 round   2 stage: `out` (notes of what left go) or `cleaned` (those of what came)
-- Returns how many of the pages still have a record, or nothing where the shard is elsewhere.
local have = call('HMGET', KEYS[1], 'round', 'moving')
local settled = ARGV[2] == 'cleaned' and not have[2]
if have[1] ~= ARGV[1] or not (have[2] == ARGV[2] or settled) then return false end
-- Of visits and of bots' visits alike.
local pattern = ARGV[2] == 'out' and '^out:(%d+)' or '^in:[^:]+:(%d+)'
local kept = 0
for i = 2, #KEYS do
  local over = {}
  if call('TYPE', KEYS[i]).ok == 'hash' then
    for _, field in ipairs(call('HKEYS', KEYS[i])) do
      local round = whole(string.match(field, pattern))
      if round and round <= whole(ARGV[1]) then over[#over + 1] = field end
    end
  end
  for first = 1, #over, 1000 do call('HDEL', KEYS[i], unpack(over, first, math.min(first + 999, #over))) end
  kept = kept + call('EXISTS', KEYS[i])
end
return kept
