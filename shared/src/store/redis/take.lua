-- Empties records and keeps what they counted as a move for their owner, in one step.
--
-- Everything is checked before the first write (see apply.lua).
-- A record with a field that is no number of visits stays as it is. Notes of earlier moves (`out:`, `in:`) stay, too.
--
-- KEYS  1 the shard's record (hash)   2 the owner's moves (hash: id -> move)   3 when they were seen here (hash: id ->
--       "<ms> <run of this server>")   4 bytes for each owner (hash)   5… the records
-- ARGV  1 format   2 ring   3 owner   4 most bytes for one owner   5 writer   6 run of this server   7 length of what the
--       records' keys begin with   8 fields after which the records that are left wait for the next take
-- Returns how many records were looked at, how many pages of them counted something, their visits, and what stays.
-- A move is stored as "<format> <tag> <JSON: [[record, {field: what to add}], …]>".

local KEYS, ARGV, call = KEYS, ARGV, redis.call

if ARGV[1] ~= '2' then return invalid('format: 2 is accepted') end
local most, prefix, enough = whole(ARGV[4]), whole(ARGV[7]), whole(ARGV[8])
if #KEYS < 5 or #ARGV ~= 8 or not (most and prefix and enough) then return invalid('number of arguments') end
if not (#ARGV[5] == 32 and string.match(ARGV[5], '^%x+$')) then return invalid('writer') end

-- 1. Only the ring in force takes, and only while the shard looks for what does not belong here.
local record = call('HMGET', KEYS[1], 'ring', 'moving', 'pass', 'tag')
if record[1] ~= ARGV[2] or not record[2] or string.sub(record[3] or '', 1, 5) ~= 'take ' then return { -1 } end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local tag = record[4] or string.format('%.0f', now)

-- 2. What there is to take.
-- A page's notes say what is on its way, and stay. How many new pages a shard had on a day (`k`) matters to that shard only.
local function stays(is_page, field)
  return is_page and (string.match(field, '^out:') or string.match(field, '^in:'))
end

local function read(key, name)
  local is_page, of_site = string.sub(name, 1, 5) == 'page:', string.sub(name, 1, 5) == 'site:'
  local fields, found = call('HGETALL', key), { key = key, name = name, is_page = is_page, content = {}, fields = {} }
  for i = 1, #fields, 2 do
    local field, value = fields[i], fields[i + 1]
    if not stays(is_page, field) then
      if not whole(value) then return nil, 'its field ' .. field .. ' is no number of visits' end
      found.fields[#found.fields + 1] = field
      if value ~= '0' and not (of_site and string.match(field, '^%d+k$')) then found.content[field] = value end
    end
  end
  return found
end

local moved, taken, rejected = {}, {}, {}
local looked_at, fields, pages, visits = 0, 0, 0, 0
for i = 5, #KEYS do
  if fields >= enough then break end
  looked_at = looked_at + 1
  local kind = call('TYPE', KEYS[i]).ok
  if kind == 'hash' then
    local found, refusal = read(KEYS[i], string.sub(KEYS[i], prefix + 1))
    if not found then
      rejected[#rejected + 1] = { i - 5, refusal }
    elseif #found.fields > 0 then
      taken[#taken + 1] = found
      fields = fields + #found.fields
      if next(found.content) then moved[#moved + 1] = { found.name, found.content } end
      if found.is_page and next(found.content) then
        pages, visits = pages + 1, visits + tonumber(found.content.total or '0')
      end
    end
  elseif kind ~= 'none' then
    rejected[#rejected + 1] = { i - 5, 'its key holds a ' .. kind }
  end
end

-- 3. Keep it, and take it out.
local id = ARGV[5] .. ':1'
if #moved > 0 then
  local content = ARGV[1] .. ' ' .. tag .. ' ' .. cjson.encode(moved)
  local bytes = (whole(call('HGET', KEYS[4], ARGV[3]) or '0') or 0) + #id + #content
  if bytes > most then return { -2 } end
  -- Also from a full server, which must get rid of something: the first write needs no memory.
  call('HDEL', KEYS[3], id)
  call('HSET', KEYS[2], id, content)
  call('HSET', KEYS[3], id, string.format('%.0f', now) .. ' ' .. ARGV[6])
  call('HSET', KEYS[4], ARGV[3], string.format('%.0f', bytes))
  if not record[4] then call('HSET', KEYS[1], 'tag', tag) end
end
for _, found in ipairs(taken) do
  -- Lua passes at most some 8,000 values at once.
  for i = 1, #found.fields, 1000 do
    call('HDEL', found.key, unpack(found.fields, i, math.min(i + 999, #found.fields)))
  end
  local total, bots = found.content.total, found.content.bots
  if found.is_page and total then call('HINCRBY', found.key, 'out:' .. tag, total) end
  if found.is_page and bots then call('HINCRBY', found.key, 'out:' .. tag .. ':bots', bots) end
end
return { looked_at, pages, string.format('%.0f', visits), rejected }
