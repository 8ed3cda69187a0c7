-- Delivers a move to its owner, exactly once: what it adds and the note that it came change together.
--
-- KEYS  1 the move's applied set (hash)   2 sets (sorted set)   3 the shard's record (hash)   4… the records
-- ARGV  1 format   2 writer   3 how long to keep the set, ms   4 the ring that places the records here, or empty
--       5 the shard that they come from   6 tag   7 length of what the records' keys begin with   8… for each record: number
--       of fields, then field and what to add
local KEYS, ARGV, call = KEYS, ARGV, redis.call

if ARGV[1] ~= '2' then return invalid('format: 2 is accepted') end
if #KEYS < 4 or not (ARGV[2] and #ARGV[2] == 32 and string.match(ARGV[2], '^%x+$')) then return invalid('writer') end
local keep, prefix = whole(ARGV[3]), whole(ARGV[7])
if not (keep and ARGV[4] and ARGV[5] and whole(ARGV[6])) then return invalid('keep, ring, source or tag') end
if not prefix then return invalid('length of the prefix') end

local function is(kind, key)
  return string.sub(key, prefix + 1, prefix + #kind) == kind
end

local arg, sum = 8, 0
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
local note = 'in:' .. ARGV[5] .. ':' .. ARGV[6]
local notes = { total = note, bots = note .. ':bots' }

-- The same visitors may be in both numbers: their sum would be further off than the greater one.
local function at_least(key, field, visitors)
  if (whole(call('HGET', key, field) or '0') or 0) < tonumber(visitors) then call('HSET', key, field, visitors) end
end

local function add(key, first, last)
  local is_page, has_days = is('page:', key), is('days:', key) or is('site:', key)
  for i = first, last, 2 do
    local field, amount = ARGV[i], ARGV[i + 1]
    if has_days and string.match(field, '^%d+u$') then
      at_least(key, field, amount)
    else
      call('HINCRBY', key, field, amount)
      if is_page and notes[field] then call('HINCRBY', key, notes[field], amount) end
    end
  end
end

local rejected = {}
arg = 8
for i = 4, #KEYS do
  local last = arg + 2 * ARGV[arg]
  local done, refusal = pcall(add, KEYS[i], arg + 1, last)
  if not done then
    rejected[#rejected + 1] = { i - 4, type(refusal) == 'table' and refusal.err or tostring(refusal) }
  end
  arg = last + 1
end
local time = call('TIME')
call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + keep, ARGV[2])
local known, ring = pcall(call, 'HGET', KEYS[3], 'ring')
if known and ring and ring ~= ARGV[4] then pcall(call, 'HINCRBY', KEYS[3], 'late', 1) end
return { 1, rejected }
