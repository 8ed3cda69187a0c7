-- Applies a writer's batches to one shard, each exactly once, and returns the writer's applied set.
--
-- Lua in Redis does not roll back. So everything is checked before the first write, and the first write
-- is the applied set itself: what can stop a write (OOM, READONLY, MISCONF) stops that one, and Redis
-- fails no later write of a script that has written. A page whose key cannot be counted up is skipped.
--
-- KEYS  1 applied set (hash)   2 writers (sorted set)   3 sets (sorted set)   4 the shard's record (hash)
--       5 the site's record (hash)   6… for each batch, if its visits have a day: the site's month (hash), the day's top
--       list (sorted set) and the site's visitors of the day (HyperLogLog); then for each page: its record (hash), and
--       with a day: its month (hash) and, where the run has visitors, its visitors of the day (HyperLogLog)
-- ARGV  1 format   2 writer   3 base   4 oldest age that is applied, ms   5 how long to keep the set, ms
--       6 the writer on the sweep's list: 0 take it off, 1 list it, 2 leave it as it is (a delivery, which also
--         never shortens the time for which the set is kept)   7 number of batches
--       8 the ring that placed the pages here, or empty where the present one would not
--       9 most new pages a day, 0 for any   10 most pages in a day's top list
--       11 length of what the key of a page's record begins with
--       12… for each batch: sequence, age in ms, day of the month or empty; with a day: visitors of the site, and refused
--       for their origin, their page and as a repeat; number of runs; then for each run of pages with the same increment:
--       visits, bots among them, number of pages, visitors of each; and if there are any: those of the first page, of the
--       second, and so on, in one text
-- Visitors are 8 bytes each, one behind the other.

-- The loops below run once for a page: a local is found faster than a global.
local KEYS, ARGV, call, sub = KEYS, ARGV, redis.call, string.sub

-- 1. Check the arguments.
if ARGV[1] ~= '2' then return invalid('format: 2 is accepted') end
local writer, base, max_age, keep = ARGV[2], whole(ARGV[3]), whole(ARGV[4]), whole(ARGV[5])
local listing, count = ARGV[6], whole(ARGV[7])
if #KEYS < 5 then return invalid('number of keys') end
if not (writer and #writer == 32 and string.match(writer, '^%x+$')) then return invalid('writer') end
if not base or base < 1 then return invalid('base') end
if listing ~= '0' and listing ~= '1' and listing ~= '2' then return invalid('listing') end
if not (max_age and keep and count) then return invalid('age, keep or number of batches') end
local ring = ARGV[8]
if not ring or (ring ~= '' and not (#ring == 16 and string.match(ring, '^%x+$'))) then return invalid('ring') end
local cap, listed, prefix = whole(ARGV[9]), whole(ARGV[10]), whole(ARGV[11])
if not (cap and listed and prefix) then return invalid('cap, length of lists or prefix') end
local batches, arg, key, pages = {}, 12, 6, 0

-- Reads the runs of a batch; false where something is wrong.
local function read_runs(batch, runs)
  local with_day = batch.day and true or false
  for i = 1, runs do
    local visits, bots, of_run, each = whole(ARGV[arg]), whole(ARGV[arg + 1]), whole(ARGV[arg + 2]), whole(ARGV[arg + 3])
    if not (visits and bots and of_run and each) or visits < 1 or bots > visits or of_run < 1 then return false end
    local people = bots == 0 and ARGV[arg] or bots < visits and string.format('%.0f', visits - bots) or nil
    local run = {
      visits = ARGV[arg], bots = bots > 0 and ARGV[arg + 1] or nil, people = people, pages = of_run, key = key, first = pages,
      stride = not with_day and 1 or each == 0 and 2 or 3, width = 8 * each, visitors = nil,
    }
    arg = arg + 4
    if each > 0 then
      run.visitors = ARGV[arg]
      if not with_day or not run.visitors or #run.visitors ~= run.width * of_run then return false end
      arg = arg + 1
    end
    key, pages = key + of_run * run.stride, pages + of_run
    if not KEYS[key - 1] then return false end
    batch.visits = batch.visits + visits * of_run
    batch.bots = batch.bots + bots * of_run
    batch.runs[i] = run
  end
  return true
end

for _ = 1, count do
  local batch = { sequence = whole(ARGV[arg]), age = whole(ARGV[arg + 1]), visits = 0, bots = 0, runs = {} }
  local day = ARGV[arg + 2]
  if not (batch.sequence and batch.sequence > 0 and batch.age and day) then return invalid('batch') end
  arg = arg + 3
  if day ~= '' then
    batch.day, batch.site, batch.arg = day, key, arg
    local of_month, visitors = whole(day), ARGV[arg]
    if not of_month or of_month < 1 or of_month > 31 or not KEYS[key + 2] then return invalid('day') end
    if not visitors or #visitors % 8 ~= 0 then return invalid('visitors of the site') end
    if not (whole(ARGV[arg + 1]) and whole(ARGV[arg + 2]) and whole(ARGV[arg + 3])) then return invalid('refused') end
    key, arg = key + 3, arg + 4
  end
  local runs = whole(ARGV[arg])
  arg = arg + 1
  if not runs or not read_runs(batch, runs) then return invalid('increment') end
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
-- A call that brings nothing new is no matter of memory: a full server, too, tells what it has, so that batches and copies go.
if #new == 0 then redis.call('HDEL', KEYS[1], '') end
if #write > 0 then redis.call('HSET', KEYS[1], unpack(write)) end

-- A key of another type costs what belongs there, and nothing else.
local function try(...)
  local done, answer = pcall(call, ...)
  return done and answer or nil
end

-- Adds the visitors that stand at these places of a text.
local function add_visitors(key, text, first, last)
  for from = first, last, 8000 do
    local visitors, n = {}, 0
    for at = from, math.min(from + 7999, last), 8 do
      n = n + 1
      visitors[n] = sub(text, at, at + 7)
    end
    call('PFADD', key, unpack(visitors))
  end
end

local rejected, without_day, refused = {}, {}, 0
-- Where the pages of a batch have got to: the run, the page in it, and the last key that was counted up.
local at_run, at_page, counted

-- Each page takes some microseconds of the server: what the loop below does not do for it counts.
local function add_run(batch, run, best, least, left)
  local day, day_of_bots, listed_now = batch.day, batch.day and batch.day .. 'b', #best
  local visits, bots, people, stride, text, width = run.visits, run.bots, run.people, run.stride, run.visitors, run.width
  local key, at = run.key + (at_page - 1) * stride, (at_page - 1) * width + 1
  for page = at_page, run.pages do
    at_page = page
    local name = KEYS[key]
    if left and call('EXISTS', name) == 0 then
      if batch.left == 0 then error('this would be one new page too many') end
      batch.left = batch.left - 1
    end
    call('HINCRBY', name, 'total', visits)
    counted = key
    if bots then call('HINCRBY', name, 'bots', bots) end
    if day then
      if people then
        local today = call('HINCRBY', KEYS[key + 1], day, people)
        if today > least then
          best[listed_now + 1], best[listed_now + 2] = today, sub(name, prefix + 1)
          listed_now = listed_now + 2
        end
      end
      if bots then call('HINCRBY', KEYS[key + 1], day_of_bots, bots) end
      if width == 8 then
        call('PFADD', KEYS[key + 2], sub(text, at, at + 7))
      elseif width == 16 then
        call('PFADD', KEYS[key + 2], sub(text, at, at + 7), sub(text, at + 8, at + 15))
      elseif width > 0 then
        add_visitors(KEYS[key + 2], text, at, at + width - 1)
      end
      at = at + width
    end
    key = key + stride
  end
end

local function add(batch)
  for r = at_run, #batch.runs do
    at_run = r
    add_run(batch, batch.runs[r], batch.best, batch.least, batch.left)
    at_page = 1
  end
end

-- Returns the new pages that its day has had. Without days, the shard's record knows those of this server's present day.
local today = cap > 0 and math.floor(call('TIME')[1] / 86400)
local function new_pages(batch)
  if batch.day then return whole(try('HGET', KEYS[batch.site], batch.day .. 'k') or '0') or 0 end
  local day, pages = string.match(try('HGET', KEYS[4], 'new_pages') or '', '^(%d+) (%d+)$')
  return day == tostring(today) and whole(pages) or 0
end

-- What the site has of it: after its pages, since some may have been refused.
local function add_to_site(batch)
  local visits, bots = batch.visits, batch.bots
  local function count(key, field, number)
    if number > 0 then try('HINCRBY', key, field, string.format('%.0f', number)) end
  end
  count(KEYS[5], 'total', visits)
  count(KEYS[5], 'bots', bots)
  if not batch.day then
    local added = batch.left and batch.allowed - batch.left or 0
    if added > 0 then try('HSET', KEYS[4], 'new_pages', today .. ' ' .. batch.before + added) end
    return
  end
  local month, top, visitors = KEYS[batch.site], KEYS[batch.site + 1], ARGV[batch.arg]
  count(month, batch.day, visits - bots)
  count(month, batch.day .. 'b', bots)
  for i, reason in ipairs({ 'o', 'p', 'r' }) do count(month, batch.day .. reason, whole(ARGV[batch.arg + i])) end
  count(month, batch.day .. 'n', batch.too_many)
  if batch.left then count(month, batch.day .. 'k', batch.allowed - batch.left) end
  for i = 1, #batch.best, 1000 do try('ZADD', top, unpack(batch.best, i, math.min(i + 999, #batch.best))) end
  if #batch.best > 0 then try('ZREMRANGEBYRANK', top, 0, -1 - listed) end
  pcall(add_visitors, KEYS[batch.site + 2], visitors, 1, #visitors)
end

-- While pages move, one that is not here may be on its way: none is taken for new.
if cap > 0 and #new > 0 then
  local state = try('HMGET', KEYS[4], 'ring', 'moving') or {}
  if state[2] or (state[1] and state[1] ~= ring) then cap = 0 end
end

for _, batch in ipairs(new) do
  local sum = string.format('%.0f', batch.visits)
  batch.best, batch.least, batch.too_many = {}, 0, 0
  if batch.day then
    local top = KEYS[batch.site + 1]
    -- Of a full list, the number that a page must exceed to be on it.
    local last = try('ZREVRANGE', top, listed - 1, listed - 1, 'WITHSCORES')
    if last and last[2] then batch.least = tonumber(last[2]) end
  end
  if cap > 0 then
    batch.before = new_pages(batch)
    batch.allowed = math.max(cap - batch.before, 0)
    batch.left = batch.allowed
  end
  at_run, at_page, counted = 1, 1, nil
  local done, refusal
  repeat
    -- Stops at a page whose key cannot be counted up; the next attempt goes on behind it.
    done, refusal = pcall(add, batch)
    if not done then
      local run = batch.runs[at_run]
      local reason = type(refusal) == 'table' and refusal.err or tostring(refusal)
      local found = { run.first + at_page - 1, reason }
      if counted == run.key + (at_page - 1) * run.stride then
        without_day[#without_day + 1] = found
      else
        set.rejected = call('HINCRBY', KEYS[1], 'rejected', run.visits)
        batch.visits = batch.visits - run.visits
        batch.bots = batch.bots - (run.bots or 0)
        if batch.left == 0 and string.find(reason, 'new page too many', 1, true) then
          batch.too_many = batch.too_many + run.visits
          refused = refused + run.visits
        else
          rejected[#rejected + 1] = found
        end
      end
      at_page = at_page + 1
    end
  until done
  set.visits = call('HINCRBY', KEYS[1], 'visits', sum)
  add_to_site(batch)
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
return { floor, kept, set.visits, set.rejected, rejected, expired, fresh, without_day, refused, now }
