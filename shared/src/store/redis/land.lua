-- Delivers records to their owner, exactly once: what they add and the note that it came change together.
--
-- KEYS  1 the envelope's applied set (hash)   2 sets (sorted set)   3 the shard's record (hash)   4… the records
-- ARGV  1 writer   2 how long to keep the set, ms   3 the ring that places the records here, or empty   4 the shard that they come
--       from   5 round   6 length of what the records' keys begin with   7 for each record, its fields with what to add (JSON)
-- Returns whether it was new, and what was rejected.
local keep, prefix, records = whole(ARGV[2]), whole(ARGV[6]), cjson.decode(ARGV[7])
if #ARGV ~= 7 or not (keep and whole(ARGV[5]) and prefix) then return invalid('keep, round or prefix') end
if #KEYS < 4 or #records ~= #KEYS - 3 then return invalid('number of records') end

for _, fields in ipairs(records) do
  if #fields == 0 then return invalid('number of fields') end
  for _, field in ipairs(fields) do
    local amount = whole(digits(field[2]))
    if not amount or amount < 1 or amount ~= field[2] or type(field[1]) ~= 'string' then return invalid('amount') end
  end
end
if call('HEXISTS', KEYS[1], 'floor') == 1 then return { 0, {} } end

-- The first write is one that Redis may refuse, also because of its key's type (see apply.lua).
call('ZADD', KEYS[2], now() + keep, ARGV[1])
call('HSET', KEYS[1], 'floor', 1)
local note = 'in:' .. ARGV[4] .. ':' .. ARGV[5]
local notes = { total = note, bots = note .. ':bots' }

local function add(key, fields)
  local is_page = string.sub(key, prefix + 1, prefix + 5) == 'page:'
  for _, pair in ipairs(fields) do
    local field, amount = pair[1], digits(pair[2])
    if not is_page and string.match(field, '^%d+u$') then
      -- The same visitors may be in both numbers: their sum would be further off than the greater one.
      local before = whole(call('HGET', key, field) or '0') or 0
      if before < pair[2] then call('HSET', key, field, amount) end
    else
      call('HINCRBY', key, field, amount)
      if is_page and notes[field] then call('HINCRBY', key, notes[field], amount) end
    end
  end
end

local rejected = {}
for i, fields in ipairs(records) do
  local done, refusal = pcall(add, KEYS[i + 3], fields)
  if not done then
    rejected[#rejected + 1] = { i - 1, type(refusal) == 'table' and refusal.err or tostring(refusal) }
  end
end
local ring = try('HGET', KEYS[3], 'ring')
if ring and ring ~= ARGV[3] then try('HINCRBY', KEYS[3], 'late', 1) end
return { 1, rejected }
