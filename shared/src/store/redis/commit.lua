-- Adds sums of a journal's first entries to days, top lists and the site, a part at a time; the last part deletes these entries.
--
-- The field `folding` of the shard's record says which entries are being added, and the last page that is done. A part names
-- what it expects there and what is to follow, and changes nothing if it finds another, or other entries. Entries are only
-- added at the end and deleted from the beginning: while the first and the last are there, so are all between them. The
-- first write needs no memory, so a full server takes it, and no later write of a script that has written is refused.
--
-- KEYS  1 journal (stream)   2 the shard's record (hash)   3 the site (hash)   4 entries set aside (hash)   5… for each day:
--       the site's month (hash), the day's top list (sorted set), and for each page: its month (hash)
-- ARGV  1 first entry   2 last entry   3 bytes of all of them   4 ring   5 pages of this part that this ring places elsewhere
--       6 most pages in a top list   7 length of what the key of a page's month begins with   8 visits of the site
--       9 bots among them   10 `folding` as expected   11 and as it is to be, each empty for none   12 entries to set aside,
--       then for each: its id and the reason; then for each day: day of the month, people, bots, refused for their origin,
--       their page, as a repeat, as a new page; pages, then for each: people, bots
-- Returns whether it was done, the visits that the full journal has left out, and the page months that are of another type:
-- their places among all months, and reasons.

for i = 5, 9 do
  if not whole(ARGV[i]) then return invalid('number') end
end
local bytes, listed, prefix, aside = whole(ARGV[3]), whole(ARGV[6]), whole(ARGV[7]), whole(ARGV[12])
if not (bytes and aside and KEYS[4]) then return invalid('bytes, entries or number of keys') end
local first = call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not first or first[1] ~= ARGV[1] or not call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1] then return { 0, 0, {} } end
if (call('HGET', KEYS[2], 'folding') or '') ~= ARGV[10] then return { 0, 0, {} } end
local days, key, arg, months = {}, 5, 13 + 2 * aside, 0
while ARGV[arg] do
  local pages = whole(ARGV[arg + 7])
  if not (pages and KEYS[key + 1 + pages] and ARGV[arg + 7 + 2 * pages]) then return invalid('day') end
  for i = arg, arg + 7 + 2 * pages do
    if not whole(ARGV[i]) then return invalid('number') end
  end
  days[#days + 1] = { key = key, arg = arg, pages = pages, before = months, best = {}, least = 0 }
  key, arg, months = key + 2 + pages, arg + 8 + 2 * pages, months + pages
end
if KEYS[key] then return invalid('number of keys') end

local skipped = 0
call('HDEL', KEYS[2], 'folding')
if ARGV[11] ~= '' then
  call('HSET', KEYS[2], 'folding', ARGV[11])
else
  for i = 13, 11 + 2 * aside, 2 do
    local entry = call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
    try('HSET', KEYS[4], 'journal ' .. ARGV[i], ARGV[i + 1] .. '\n' .. (entry and entry[2][2] or ''))
  end
  -- Entries before the last, and the last.
  call('XTRIM', KEYS[1], 'MINID', ARGV[2])
  call('XDEL', KEYS[1], ARGV[2])
  local left = try('HINCRBY', KEYS[2], 'journal', -bytes)
  if left and (left < 0 or call('XLEN', KEYS[1]) == 0) then call('HDEL', KEYS[2], 'journal') end
  skipped = whole(try('HGET', KEYS[2], 'skipped')) or 0
  if skipped > 0 then call('HDEL', KEYS[2], 'skipped') end
end
-- Pages that do not belong here by the ring in force must be brought to their owners.
local ring = try('HGET', KEYS[2], 'ring')
if ring and (ring ~= ARGV[4] or ARGV[5] ~= '0') then try('HINCRBY', KEYS[2], 'late', 1) end

local function count(name, field, number)
  if number ~= '0' then return try('HINCRBY', name, field, number) end
end
count(KEYS[3], 'total', ARGV[8])
count(KEYS[3], 'bots', ARGV[9])

local rejected, at = {}, 0
local function add_pages(day)
  local of_month, bots, arg, best = ARGV[day.arg], ARGV[day.arg] .. 'b', day.arg + 6, day.best
  for page = at, day.pages do
    at = page
    local name, by_people, by_bots = KEYS[day.key + 1 + page], ARGV[arg + 2 * page], ARGV[arg + 2 * page + 1]
    if by_people ~= '0' then
      local people = call('HINCRBY', name, of_month, by_people)
      if people > day.least then best[#best + 1], best[#best + 2] = people, string.sub(name, prefix + 1) end
    end
    if by_bots ~= '0' then call('HINCRBY', name, bots, by_bots) end
  end
end

for _, day in ipairs(days) do
  local month, top, of_month = KEYS[day.key], KEYS[day.key + 1], ARGV[day.arg]
  for i, kind in ipairs({ '', 'b', 'o', 'p', 'r', 'n' }) do count(month, of_month .. kind, ARGV[day.arg + i]) end
  -- Of a full list, the number that a page must exceed to be on it.
  local last = try('ZREVRANGE', top, listed - 1, listed - 1, 'WITHSCORES')
  day.least, at = tonumber(last and last[2] or 0), 1
  repeat
    local done, why = pcall(add_pages, day)
    if not done then
      rejected[#rejected + 1] = { day.before + at - 1, type(why) == 'table' and why.err or tostring(why) }
      at = at + 1
    end
  until done
  for i = 1, #day.best, 1000 do try('ZADD', top, unpack(day.best, i, math.min(i + 999, #day.best))) end
  if #day.best > 0 then try('ZREMRANGEBYRANK', top, 0, -1 - listed) end
end
return { 1, skipped, rejected }
