-- Applies a writer's batches to one shard, each exactly once: counts their pages up, appends them to the journal, and returns
-- the writer's applied set. Lua in Redis does not roll back. So everything is checked before the first write, and the first
-- write is the applied set: a full or read-only server refuses that one, and no later write of a script that has written.
--
-- KEYS  1 applied set (hash)   2 writers (sorted set)   3 sets (sorted set)   4 the shard's record (hash)   5 journal (stream)
--       6… the pages of all batches (hashes)
-- ARGV  1 format   2 writer   3 base   4 oldest age that is applied, ms   5 how long to keep the set, ms
--       6 the writer on the sweep's list: 0 take it off, 1 list it, 2 leave it (a delivery, which never shortens 5 either)
--       7 ring that placed the pages here, or empty   8 most new pages a day, 0 for any   9 most bytes of the journal, 0 for
--       none   10… for each batch: sequence, age in ms, its bytes, number of runs; for each run: visits, bots, pages
-- An entry of the journal: b, a batch's bytes; x and n, the places in it of pages that were not counted, since their key is of
-- another type (x), or as one new page too many (n).

-- 1. Check the arguments.
if ARGV[1] ~= '3' or not (KEYS[5] and ARGV[9]) then return invalid('format: 3 is accepted') end
local writer, base, max_age, keep, listing, ring = ARGV[2], whole(ARGV[3]), whole(ARGV[4]), whole(ARGV[5]), ARGV[6], ARGV[7]
local cap, bound = whole(ARGV[8]), whole(ARGV[9])
if not (#writer == 32 and string.match(writer, '^%x+$')) then return invalid('writer') end
if not (base and base > 0 and max_age and keep and cap and bound) then return invalid('base, age, keep, cap or bound') end
if not string.match(listing, '^[012]$') then return invalid('listing') end
if ring ~= '' and not (#ring == 16 and string.match(ring, '^%x+$')) then return invalid('ring') end
for i = 2, 3 do
  local kind = call('TYPE', KEYS[i]).ok
  if kind ~= 'none' and kind ~= 'zset' then return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is no sorted set') end
end
local batches, arg, key = {}, 10, 6
while ARGV[arg] do
  local batch = { sequence = whole(ARGV[arg]), age = whole(ARGV[arg + 1]), bytes = ARGV[arg + 2], first = key, visits = 0, runs = {} }
  local runs = whole(ARGV[arg + 3])
  if not (runs and batch.sequence and batch.sequence > 0 and batch.age) then return invalid('batch') end
  arg = arg + 4
  for r = 1, runs do
    local visits, bots, pages = whole(ARGV[arg]), whole(ARGV[arg + 1]), whole(ARGV[arg + 2])
    if not (visits and bots and pages) or visits < 1 or bots > visits or pages < 1 then return invalid('run') end
    batch.runs[r] = { visits = visits, by = ARGV[arg], bots = bots > 0 and ARGV[arg + 1], first = key, last = key + pages - 1 }
    batch.visits = batch.visits + visits * pages
    arg, key = arg + 3, key + pages
    if not KEYS[key - 1] then return invalid('number of pages') end
  end
  batches[#batches + 1] = batch
end
if KEYS[key] then return invalid('number of pages') end

-- 2. Read the set, and write the new one: first, see above.
local fields, set, above, stored = call('HGETALL', KEYS[1]), { floor = 0, visits = 0, rejected = 0 }, {}, {}
for i = 1, #fields, 2 do
  local sequence = whole(fields[i])
  if sequence then above[sequence], stored[sequence] = true, true else set[fields[i]] = whole(fields[i + 1]) or 0 end
end
local new, fresh, expired, kept, write, drop = {}, {}, {}, {}, {}, {}
for _, batch in ipairs(batches) do
  local sequence = batch.sequence
  if sequence > set.floor and not above[sequence] then
    local is_old = batch.age > max_age
    if is_old then expired[#expired + 1] = sequence else new[#new + 1], fresh[#fresh + 1], above[sequence] = batch, sequence, true end
  end
end
local floor = math.max(set.floor, base - 1)
while above[floor + 1] do floor = floor + 1 end
if floor ~= set.floor then write = { 'floor', floor } end
for sequence in pairs(above) do
  if sequence > floor then kept[#kept + 1] = sequence elseif stored[sequence] then drop[#drop + 1] = sequence end
  if sequence > floor and not stored[sequence] then write[#write + 1], write[#write + 2] = sequence, 1 end
end
-- A call that brings nothing new is no matter of memory: a full server, too, says what it has, so that batches and copies go.
if #new == 0 then call('HDEL', KEYS[1], '') end
if #write > 0 then call('HSET', KEYS[1], unpack(write)) end

-- 3. Count the pages up. While pages move, one that is not here may be on its way: none is taken for new.
local state = #new > 0 and try('HMGET', KEYS[4], 'ring', 'moving', 'new_pages', 'journal') or {}
local by_another_ring, today = state[1] and state[1] ~= ring, math.floor(now() / 86400000)
local day, had = string.match(state[3] or '', '^(%d+) (%d+)$')
local room = cap > 0 and not state[2] and not by_another_ring and math.max(cap - (day == tostring(today) and had or 0), 0)
local left, rejected, refused, at = room, {}, 0, nil

-- Counts from key `at` on. An error leaves `at` at the page that cannot be counted.
local function count_up(batch)
  for _, run in ipairs(batch.runs) do
    for page = math.max(at, run.first), run.last do
      at, batch.run = page, run
      local is_new = left and call('EXISTS', KEYS[page]) == 0
      if is_new and left == 0 then
        batch.n[#batch.n + 1], batch.refused = page - batch.first, batch.refused + run.visits
      else
        if is_new then left = left - 1 end
        call('HINCRBY', KEYS[page], 'total', run.by)
        if run.bots then redis.pcall('HINCRBY', KEYS[page], 'bots', run.bots) end
      end
    end
  end
end

for _, batch in ipairs(new) do
  batch.x, batch.n, batch.refused, batch.bad, at = {}, {}, 0, 0, batch.first
  repeat
    local done, why = pcall(count_up, batch)
    if not done then
      rejected[#rejected + 1] = { at - 6, type(why) == 'table' and why.err or tostring(why) }
      batch.x[#batch.x + 1], batch.bad, at = at - batch.first, batch.bad + batch.run.visits, at + 1
    end
  until done
  refused, batch.bad = refused + batch.refused, batch.bad + batch.refused
  set.visits = call('HINCRBY', KEYS[1], 'visits', batch.visits)
  if batch.bad > 0 then set.rejected = call('HINCRBY', KEYS[1], 'rejected', batch.bad) end
  -- Append it to the journal, or count its visits as left out where the journal is full.
  local entry, bytes, size = { 'b', batch.bytes }, tonumber(state[4] or 0) or 0, #batch.bytes + 32
  if #batch.x > 0 then entry[3], entry[4] = 'x', table.concat(batch.x, ',') end
  if #batch.n > 0 then entry[#entry + 1], entry[#entry + 2] = 'n', table.concat(batch.n, ',') end
  if bytes + size <= bound and try('XADD', KEYS[5], '*', unpack(entry)) then
    state[4] = try('HINCRBY', KEYS[4], 'journal', size)
  elseif bound > 0 then
    try('HINCRBY', KEYS[4], 'skipped', batch.visits)
  end
end
if left ~= room then try('HSET', KEYS[4], 'new_pages', today .. ' ' .. cap - left) end
-- Lua passes at most some 8,000 values at once.
for i = 1, #drop, 1000 do call('HDEL', KEYS[1], unpack(drop, i, math.min(i + 999, #drop))) end
-- Batches that another ring than the one in force has placed here: their pages must be brought to their owners.
if by_another_ring then try('HINCRBY', KEYS[4], 'late', 1) end

-- 4. List the writer, by this server's clock.
local time = now()
if listing == '1' then call('ZADD', KEYS[2], time, writer) elseif listing == '0' then call('ZREM', KEYS[2], writer) end
call('ZADD', KEYS[3], math.max(time + keep, tonumber(listing == '2' and call('ZSCORE', KEYS[3], writer) or 0)), writer)
return { floor, kept, { set.visits, set.rejected }, rejected, expired, fresh, { refused, time } }
