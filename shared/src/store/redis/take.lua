-- Empties records and keeps what they counted as an envelope for their owner, in one step.
--
-- Everything is checked before the first write (see apply.lua). A record with a field that is no number of visits stays as it is.
--
-- KEYS  1 the shard's record (hash)   2 the owner's mailbox of records (hash)   3 its notes (hash)   4 bytes in each mailbox (hash)
--       5… the records
-- ARGV  1 ring   2 round   3 mailbox   4 most bytes in it   5 the envelope's id   6 run of this server   7 length of what the records'
--       keys begin with   8 fields after which the records that are left wait for the next take
-- Returns how many records were looked at, how many pages of them counted something, their visits, and what stays; or nothing where nothing was taken.
-- The envelope is "<ms> <round> <JSON: [[record, {field: what to add}], …]>".
local most, prefix, enough = whole(ARGV[4]), whole(ARGV[7]), whole(ARGV[8])
if #KEYS < 5 or #ARGV ~= 8 or not (most and prefix and enough) then return invalid('number of arguments') end

-- 1. Only the ring in force takes, and only while the shard looks for what does not belong here.
local have = call('HMGET', KEYS[1], 'ring', 'round', 'moving')
if have[1] ~= ARGV[1] or have[2] ~= ARGV[2] or have[3] ~= 'take' then return false end

-- 2. What there is to take. A page's notes say what is on its way, and stay.
local function read(key, name)
  local kind, is_page = call('TYPE', key).ok, string.sub(name, 1, 5) == 'page:'
  if kind ~= 'hash' and kind ~= 'none' then return nil, 'its key holds a ' .. kind end
  local fields = call('HGETALL', key)
  local found = { key = key, name = name, is_page = is_page, content = {}, fields = {} }
  for i = 1, #fields, 2 do
    local field, value = fields[i], fields[i + 1]
    if not (is_page and (string.sub(field, 1, 4) == 'out:' or string.sub(field, 1, 3) == 'in:')) then
      if not whole(value) then return nil, 'its field ' .. field .. ' is no number of visits' end
      found.fields[#found.fields + 1] = field
      if value ~= '0' then found.content[field] = value end
    end
  end
  return found
end

local moved, taken, rejected = {}, {}, {}
local looked_at, fields, pages, visits = 0, 0, 0, 0
for i = 5, #KEYS do
  if fields >= enough then break end
  looked_at = looked_at + 1
  local found, refusal = read(KEYS[i], string.sub(KEYS[i], prefix + 1))
  if not found then
    rejected[#rejected + 1] = { i - 5, refusal }
  elseif #found.fields > 0 then
    taken[#taken + 1], fields = found, fields + #found.fields
    if next(found.content) then
      moved[#moved + 1] = { found.name, found.content }
      if found.is_page then pages, visits = pages + 1, visits + tonumber(found.content.total or '0') end
    end
  end
end

-- 3. Keep it, and take it out.
if #moved > 0 then
  local at = digits(now()) .. ' '
  local envelope = at .. ARGV[2] .. ' ' .. cjson.encode(moved)
  local bytes = (whole(call('HGET', KEYS[4], ARGV[3]) or '0') or 0) + #ARGV[5] + #envelope
  if bytes > most then return false end
  -- Also from a full server, which must get rid of something: the first write needs no memory.
  call('HDEL', KEYS[3], ARGV[5])
  call('HSET', KEYS[2], ARGV[5], envelope)
  call('HSET', KEYS[3], ARGV[5], at .. ARGV[6] .. ' here')
  call('HSET', KEYS[4], ARGV[3], digits(bytes))
  call('HSET', KEYS[1], 'taken', ARGV[2])
end
for _, found in ipairs(taken) do
  -- Lua passes at most some 8,000 values at once.
  for i = 1, #found.fields, 1000 do call('HDEL', found.key, unpack(found.fields, i, math.min(i + 999, #found.fields))) end
  for field, note in pairs(found.is_page and { total = '', bots = ':bots' } or {}) do
    if found.content[field] then call('HINCRBY', found.key, 'out:' .. ARGV[2] .. note, found.content[field]) end
  end
end
return { looked_at, pages, digits(visits), rejected }
