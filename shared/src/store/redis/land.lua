-- Delivers a move to its owner, exactly once: what it adds and the note that it came change together.
--
-- KEYS  1 the move's applied set (hash)   2 sets (sorted set)   3 the shard's record (hash)   4… the pages
-- ARGV  1 format   2 writer   3 how long to keep the set, ms   4 the ring that places the pages here, or empty
--       5 the shard that they come from   6 tag   7… for each page: number of fields, then field and what to add
local KEYS, ARGV, call = KEYS, ARGV, redis.call

if ARGV[1] ~= '1' then return invalid('format: 1 is accepted') end
if #KEYS < 4 or not (ARGV[2] and #ARGV[2] == 32 and string.match(ARGV[2], '^%x+$')) then return invalid('writer') end
local keep = whole(ARGV[3])
if not (keep and ARGV[4] and ARGV[5] and whole(ARGV[6])) then return invalid('keep, ring, source or tag') end
local arg, sum = 7, 0
for _ = 4, #KEYS do
  local fields = whole(ARGV[arg])
  if not fields or fields < 1 then return invalid('number of fields') end
  for field = arg + 1, arg + 2 * fields, 2 do
    local amount = whole(ARGV[field + 1])
    if not amount or amount < 1 then return invalid('amount') end
    if ARGV[field] == 'total' then sum = sum + amount end
  end
  arg = arg + 2 * fields + 1
end
if ARGV[arg] then return invalid('number of arguments') end

local kind = call('TYPE', KEYS[2]).ok
if kind ~= 'none' and kind ~= 'zset' then return redis.error_reply('WRONGTYPE ' .. KEYS[2] .. ' is no sorted set') end
if call('HEXISTS', KEYS[1], 'floor') == 1 then return { 0, {} } end

call('HSET', KEYS[1], 'floor', 1, 'visits', string.format('%.0f', sum))
local came, rejected = 'in:' .. ARGV[5] .. ':' .. ARGV[6], {}
local function add(key, first, last)
  for field = first, last, 2 do
    call('HINCRBY', key, ARGV[field], ARGV[field + 1])
    if ARGV[field] == 'total' then call('HINCRBY', key, came, ARGV[field + 1]) end
  end
end
arg = 7
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
