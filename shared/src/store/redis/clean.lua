-- Deletes the notes of moves that are over from the records of pages.
--
-- KEYS  the pages
-- ARGV  1 `out`   2 the tag in force here: notes of what left under an earlier one go
--    or 1 `in`   2… shard and the tag in force there: notes of what came from it under an earlier one go
-- Returns how many of the pages still have a record.
local before, kept = {}, 0
if ARGV[1] == 'in' then
  for i = 2, #ARGV, 2 do before[ARGV[i]] = tonumber(ARGV[i + 1]) end
end

local function is_over(field)
  -- Of visits and of bots' visits alike.
  field = string.match(field, '^(.*):bots$') or field
  if ARGV[1] == 'out' then
    local tag = string.match(field, '^out:(%d+)$')
    return tag and tonumber(tag) < tonumber(ARGV[2])
  end
  local shard, tag = string.match(field, '^in:([^:]+):(%d+)$')
  return shard and before[shard] and tonumber(tag) < before[shard]
end

for _, key in ipairs(KEYS) do
  local over = {}
  if redis.call('TYPE', key).ok == 'hash' then
    for _, field in ipairs(redis.call('HKEYS', key)) do
      if is_over(field) then over[#over + 1] = field end
    end
  end
  for i = 1, #over, 1000 do redis.call('HDEL', key, unpack(over, i, math.min(i + 999, #over))) end
  kept = kept + redis.call('EXISTS', key)
end
return kept
