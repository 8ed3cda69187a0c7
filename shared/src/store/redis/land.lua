-- Delivers records to their owner, exactly once: what they add and the note that it came change together.
--
-- KEYS  1 the envelope's applied set (hash)   2 sets (sorted set)   3 the shard's record (hash)   4… the records
-- ARGV  1 writer   2 how long to keep the set, ms   3 the ring that places the records here, or empty   4 the shard that they come
--       from   5 round   6 length of what the records' keys begin with   7… for each record: number of fields, then field and amount
-- Returns whether it was new, and what was rejected.
local KEYS, ARGV, call = KEYS, ARGV, redis.call
local keep, prefix = whole(ARGV[2]), whole(ARGV[6])
if #KEYS < 4 or not (keep and whole(ARGV[5]) and prefix) then return invalid('keep, round or prefix') end

local function is(kind, key)
  return string.sub(key, prefix + 1, prefix + #kind) == kind
end

local arg, sum = 7, 0
for i = 4, #KEYS do
  local fields = whole(ARGV[arg])
  if not fields or fields < 1 then return invalid('number of fields') end
  for field = arg + 1, arg + 2 * fields, 2 do
    local amount = whole(ARGV[field + 1])
    if not amount or amount < 1 then return invalid('amount') end
    if ARGV[field] == 'total' and is('page:', KEYS[i]) then sum = sum + amount end
  end
  arg = arg + 2 * fields + 1
end
if ARGV[arg] then return invalid('number of arguments') end

local kind = call('TYPE', KEYS[2]).ok
if kind ~= 'none' and kind ~= 'zset' then return redis.error_reply('WRONGTYPE ' .. KEYS[2] .. ' is no sorted set') end
if call('HEXISTS', KEYS[1], 'floor') == 1 then return { 0, {} } end

call('HSET', KEYS[1], 'floor', 1, 'visits', string.format('%.0f', sum))
local note = 'in:' .. ARGV[4] .. ':' .. ARGV[5]
local notes = { total = note, bots = note .. ':bots' }

local function add(key, first, last)
  local is_page = is('page:', key)
  for i = first, last, 2 do
    local field, amount = ARGV[i], ARGV[i + 1]
    if not is_page and string.match(field, '^%d+u$') then
      -- The same visitors may be in both numbers: their sum would be further off than the greater one.
      local before = whole(call('HGET', key, field) or '0') or 0
      if before < tonumber(amount) then call('HSET', key, field, amount) end
    else
      call('HINCRBY', key, field, amount)
      if is_page and notes[field] then call('HINCRBY', key, notes[field], amount) end
    end
  end
end

local rejected = {}
arg = 7
for i = 4, #KEYS do
  local last = arg + 2 * ARGV[arg]
  local done, refusal = pcall(add, KEYS[i], arg + 1, last)
  if not done then
    rejected[#rejected + 1] = { i - 4, type(refusal) == 'table' and refusal.err or tostring(refusal) }
  end
  arg = last + 1
end
call('ZADD', KEYS[2], now() + keep, ARGV[1])
local known, ring = pcall(call, 'HGET', KEYS[3], 'ring')
if known and ring and ring ~= ARGV[3] then pcall(call, 'HINCRBY', KEYS[3], 'late', 1) end
return { 1, rejected }
