-- Adds sums of a journal's first entries to a day, its top list and the site, a part at a time; the last part deletes these
-- entries.
--
-- The field `folding` of the shard's record says which entries are being added, and the last page that is done. A part names
-- what it expects there and what is to follow, and changes nothing if it finds another, or other entries. Entries are only
-- added at the end and deleted from the beginning: while the first and the last are there, so are all between them. The
-- first write needs no memory, so a full server takes it, and no later write of a script that has written is refused.
--
-- KEYS  1 journal (stream)   2 the shard's record (hash)   3 the site (hash)   4 entries set aside (hash)
--       where there are pages or sums of a day: 5 the site's month (hash)   6 the day's top list (sorted set)
--       7… for each page: its month (hash)
-- ARGV  1 first entry   2 last entry   3 bytes of all of them   4 `folding` as expected   5 and as it is to be, each empty for none
--       6 ring   7 pages of this part that this ring places elsewhere   8 most pages in a top list
--       9 visits of the site   10 bots among them   11 day of the month
--       12 people, bots, refused for their origin, their page, as a repeat, as a new page: 17   18 number of pages
--       19… for each page: people, bots; then for each entry to set aside: its id and the reason
-- Returns whether it was done, the visits that the full journal has left out, and the pages whose months are of another type:
-- their places in this part, and reasons.

local pages = whole(ARGV[18])
if not pages or #KEYS ~= (ARGV[11] == '0' and pages == 0 and 4 or 6 + pages) then return invalid('number of pages') end
for i = 7, 18 + 2 * pages do
  if not whole(ARGV[i]) then return invalid('number') end
end
if not whole(ARGV[3]) or (#ARGV - pages * 2) % 2 ~= 0 then return invalid('bytes or entries') end
local first, last, bytes, becomes, listed = ARGV[1], ARGV[2], whole(ARGV[3]), ARGV[5], whole(ARGV[8])
local found = call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not found or found[1] ~= first or not call('XRANGE', KEYS[1], last, last)[1] then return { 0, 0, {} } end
if (call('HGET', KEYS[2], 'folding') or '') ~= ARGV[4] then return { 0, 0, {} } end

local skipped = 0
call('HDEL', KEYS[2], 'folding')
if becomes ~= '' then
  call('HSET', KEYS[2], 'folding', becomes)
else
  for i = 19 + 2 * pages, #ARGV, 2 do
    local entry = call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
    try('HSET', KEYS[4], 'journal ' .. ARGV[i], ARGV[i + 1] .. '\n' .. (entry and entry[2][2] or ''))
  end
  -- Entries before the last, and the last.
  call('XTRIM', KEYS[1], 'MINID', last)
  call('XDEL', KEYS[1], last)
  local left = try('HINCRBY', KEYS[2], 'journal', -bytes)
  if left and (left < 0 or call('XLEN', KEYS[1]) == 0) then call('HDEL', KEYS[2], 'journal') end
  skipped = whole(try('HGET', KEYS[2], 'skipped')) or 0
  if skipped > 0 then call('HDEL', KEYS[2], 'skipped') end
end
-- Pages that do not belong here by the ring in force must be brought to their owners.
local ring = try('HGET', KEYS[2], 'ring')
if ring and (ring ~= ARGV[6] or ARGV[7] ~= '0') then try('HINCRBY', KEYS[2], 'late', 1) end

local function count(name, field, number)
  if number ~= '0' then return try('HINCRBY', name, field, number) end
end
count(KEYS[3], 'total', ARGV[9])
count(KEYS[3], 'bots', ARGV[10])
if not KEYS[5] then return { 1, skipped, {} } end

local of_month, top, best, rejected = ARGV[11], KEYS[6], {}, {}
for i, kind in ipairs({ '', 'b', 'o', 'p', 'r', 'n' }) do count(KEYS[5], of_month .. kind, ARGV[11 + i]) end
-- Of a full list, the number that a page must exceed to be on it. Its id is behind `days:<month>:`, one longer than `site:<month>`.
local lowest, id = try('ZREVRANGE', top, listed - 1, listed - 1, 'WITHSCORES'), #KEYS[5] + 2
local least, bots = tonumber(lowest and lowest[2] or 0), of_month .. 'b'
for page = 1, pages do
  local month, by_people, by_bots = KEYS[6 + page], ARGV[17 + 2 * page], ARGV[18 + 2 * page]
  local answer = by_bots ~= '0' and redis.pcall('HINCRBY', month, bots, by_bots) or 0
  if by_people ~= '0' then answer = redis.pcall('HINCRBY', month, of_month, by_people) end
  if type(answer) == 'table' then
    rejected[#rejected + 1] = { page - 1, answer.err }
  elseif by_people ~= '0' and answer > least then
    best[#best + 1], best[#best + 2] = answer, string.sub(month, id)
  end
end
for i = 1, #best, 1000 do try('ZADD', top, unpack(best, i, math.min(i + 999, #best))) end
if #best > 0 then try('ZREMRANGEBYRANK', top, 0, -1 - listed) end
return { 1, skipped, rejected }
