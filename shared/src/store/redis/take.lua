-- Takes pages out of their records and keeps what they counted as a move for their owner, in one step.
--
-- Everything is checked before the first write, and the first write is one that Redis may refuse (see apply.lua).
-- A record with a field that is no number of visits stays as it is. Notes of earlier moves (`out:`, `in:`) stay, too.
--
-- KEYS  1 the shard's record (hash)   2 the owner's moves (hash: id -> move)   3 when they were seen here (hash: id ->
--       "<ms> <run of this server>")   4 bytes for each owner (hash)   5… the pages
-- ARGV  1 format   2 ring   3 owner   4 most bytes for one owner   5 writer   6 run of this server   7 length of what the
--       pages' keys begin with
-- A move is stored as "<format> <tag> <JSON: [[page, {field: what to add}], …]>".

local KEYS, ARGV, call = KEYS, ARGV, redis.call

if ARGV[1] ~= '1' then return invalid('format: 1 is accepted') end
local most, prefix = whole(ARGV[4]), whole(ARGV[7])
if #KEYS < 5 or #ARGV ~= 7 or not (most and prefix) then return invalid('number of arguments') end
if not (#ARGV[5] == 32 and string.match(ARGV[5], '^%x+$')) then return invalid('writer') end

-- 1. Only the ring in force takes, and only while the shard looks for what it does not own.
local record = call('HMGET', KEYS[1], 'ring', 'moving', 'pass', 'tag')
if record[1] ~= ARGV[2] or not record[2] or string.sub(record[3] or '', 1, 5) ~= 'take ' then return { -1 } end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local tag = record[4] or string.format('%.0f', now)

-- 2. What there is to take.
local pages, taken, rejected, visits = {}, {}, {}, 0
for i = 5, #KEYS do
  local kind = call('TYPE', KEYS[i]).ok
  if kind == 'hash' then
    local fields, content, names, bad = call('HGETALL', KEYS[i]), {}, {}, nil
    for j = 1, #fields, 2 do
      local name, value = fields[j], fields[j + 1]
      if not string.match(name, '^out:') and not string.match(name, '^in:') then
        if not whole(value) then bad = name end
        names[#names + 1] = name
        if value ~= '0' then content[name] = value end
      end
    end
    if bad then
      rejected[#rejected + 1] = { i - 5, 'its field ' .. bad .. ' is no number of visits' }
    elseif #names > 0 then
      local total = content.total or '0'
      taken[#taken + 1] = { KEYS[i], names, total }
      if next(content) then pages[#pages + 1] = { string.sub(KEYS[i], prefix + 1), content } end
      visits = visits + tonumber(total)
    end
  elseif kind ~= 'none' then
    rejected[#rejected + 1] = { i - 5, 'its key holds a ' .. kind }
  end
end
if #taken == 0 then return { 0, 0, rejected } end

-- 3. Keep it, and take it out.
local id = ARGV[5] .. ':1'
if #pages > 0 then
  local content = ARGV[1] .. ' ' .. tag .. ' ' .. cjson.encode(pages)
  local bytes = (whole(call('HGET', KEYS[4], ARGV[3]) or '0') or 0) + #id + #content
  if bytes > most then return { -2 } end
  call('HSET', KEYS[2], id, content)
  call('HSET', KEYS[3], id, string.format('%.0f', now) .. ' ' .. ARGV[6])
  call('HSET', KEYS[4], ARGV[3], string.format('%.0f', bytes))
  if not record[4] then call('HSET', KEYS[1], 'tag', tag) end
end
for _, page in ipairs(taken) do
  call('HDEL', page[1], unpack(page[2]))
  if page[3] ~= '0' then call('HINCRBY', page[1], 'out:' .. tag, page[3]) end
end
return { #pages, string.format('%.0f', visits), rejected }
