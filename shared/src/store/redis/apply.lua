-- Applies a writer's batches to one shard, each exactly once, and returns the writer's applied set.
--
-- Lua in Redis does not roll back. So everything is checked before the first write, and the first write
-- is the applied set itself: what can stop a write (OOM, READONLY, MISCONF) stops that one, and Redis
-- fails no later write of a script that has written. A page whose key cannot be counted up is skipped.
--
-- KEYS  1 applied set (hash)   2 writers (sorted set)   3 sets (sorted set)   4 the shard's record (hash)
--       5… the page of each increment
-- ARGV  1 format   2 writer   3 base   4 oldest age that is applied, ms   5 how long to keep the set, ms
--       6 the writer on the sweep's list: 0 take it off, 1 list it, 2 leave it as it is (a delivery, which also
--         never shortens the time for which the set is kept)   7 number of batches
--       8 the ring that placed the pages here, or empty where the present one would not
--       9… for each batch: sequence, age in ms, number of runs, then for each run of pages with the same increment:
--       the increment, number of pages

-- The loops below run once for a page: a local is found faster than a global.
local KEYS, ARGV, call = KEYS, ARGV, redis.call

-- 1. Check the arguments.
if ARGV[1] ~= '1' then return invalid('format: 1 is accepted') end
local writer, base, max_age, keep = ARGV[2], whole(ARGV[3]), whole(ARGV[4]), whole(ARGV[5])
local listing, count = ARGV[6], whole(ARGV[7])
if #KEYS < 4 then return invalid('number of keys') end
if not (writer and #writer == 32 and string.match(writer, '^%x+$')) then return invalid('writer') end
if not base or base < 1 then return invalid('base') end
if listing ~= '0' and listing ~= '1' and listing ~= '2' then return invalid('listing') end
if not (max_age and keep and count) then return invalid('age, keep or number of batches') end
local ring = ARGV[8]
if not ring or (ring ~= '' and not (#ring == 16 and string.match(ring, '^%x+$'))) then return invalid('ring') end
local batches, arg, key = {}, 9, 5
for _ = 1, count do
  local batch = { sequence = whole(ARGV[arg]), age = whole(ARGV[arg + 1]), visits = 0, ends = {} }
  local runs = whole(ARGV[arg + 2])
  if not (batch.sequence and batch.sequence > 0 and batch.age and runs) then return invalid('batch') end
  arg = arg + 3
  batch.arg, batch.key = arg, key
  for i = 1, runs do
    local visits, pages = whole(ARGV[arg]), whole(ARGV[arg + 1])
    if not (visits and pages) or visits < 1 or pages < 1 or not KEYS[key + pages - 1] then return invalid('increment') end
    batch.visits = batch.visits + visits * pages
    arg, key = arg + 2, key + pages
    batch.ends[i] = key - 1
  end
  batches[#batches + 1] = batch
end
if ARGV[arg] or KEYS[key] then return invalid('number of arguments') end

for i = 2, 3 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'none' and kind ~= 'zset' then return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no sorted set') end
end

-- 2. Read the set and work out the new one.
local fields, set, above = redis.call('HGETALL', KEYS[1]), { floor = 0, visits = 0, rejected = 0 }, {}
for i = 1, #fields, 2 do
  local sequence = whole(fields[i])
  if sequence then above[sequence] = true else set[fields[i]] = whole(fields[i + 1]) or 0 end
end
local floor, new, expired, stored = set.floor, {}, {}, {}
for sequence in pairs(above) do stored[sequence] = true end
for _, batch in ipairs(batches) do
  if batch.sequence > floor and not above[batch.sequence] then
    if batch.age > max_age then
      expired[#expired + 1] = batch.sequence
    else
      new[#new + 1] = batch
      above[batch.sequence] = true
    end
  end
end
if base - 1 > floor then floor = base - 1 end
while above[floor + 1] do floor = floor + 1 end

-- 3. Write the set (first, see above), then the counts.
local write, drop, kept = {}, {}, {}
if floor ~= set.floor then write = { 'floor', string.format('%.0f', floor) } end
for sequence in pairs(above) do
  local field = string.format('%.0f', sequence)
  if sequence > floor then
    kept[#kept + 1] = sequence
    if not stored[sequence] then write[#write + 1] = field; write[#write + 1] = 1 end
  elseif stored[sequence] then
    drop[#drop + 1] = field
  end
end
if #write > 0 then redis.call('HSET', KEYS[1], unpack(write)) end
local rejected, run, at = {}, 1, 0
local function add(batch)
  for i = run, #batch.ends do
    run = i
    local visits, last = ARGV[batch.arg + 2 * i - 2], batch.ends[i]
    for key = at, last do
      at = key
      call('HINCRBY', KEYS[key], 'total', visits)
    end
    at = last + 1
  end
end
for _, batch in ipairs(new) do
  run, at = 1, batch.key
  local done, refusal
  repeat
    -- Stops at a page whose key cannot be counted up; the next attempt goes on behind it.
    done, refusal = pcall(add, batch)
    if not done then
      rejected[#rejected + 1] = { at - 5, type(refusal) == 'table' and refusal.err or tostring(refusal) }
      set.rejected = redis.call('HINCRBY', KEYS[1], 'rejected', ARGV[batch.arg + 2 * run - 2])
      at = at + 1
    end
  until done
  set.visits = redis.call('HINCRBY', KEYS[1], 'visits', string.format('%.0f', batch.visits))
end

-- Lua passes at most some 8,000 values at once.
for i = 1, #drop, 1000 do redis.call('HDEL', KEYS[1], unpack(drop, i, math.min(i + 999, #drop))) end

-- 4. Note what comes by another ring than the one in force: somebody must look for it.
if #new > 0 then
  local known, in_force = pcall(call, 'HGET', KEYS[4], 'ring')
  if known and in_force and in_force ~= ring then pcall(call, 'HINCRBY', KEYS[4], 'late', 1) end
end

-- 5. List the writer, by this server's clock.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if listing == '1' then redis.call('ZADD', KEYS[2], now, writer) end
if listing == '0' then redis.call('ZREM', KEYS[2], writer) end
local kept_until = tonumber(listing == '2' and redis.call('ZSCORE', KEYS[3], writer) or 0)
redis.call('ZADD', KEYS[3], math.max(now + keep, kept_until), writer)
local fresh = {}
for i, batch in ipairs(new) do fresh[i] = batch.sequence end
return { floor, kept, set.visits, set.rejected, rejected, expired, fresh }
