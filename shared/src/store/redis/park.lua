-- Stores envelopes in a mailbox: all of them or none. One that is there already stays as it is.
--
-- KEYS  1 the mailbox (hash: id -> "<ms> <bytes>")   2 bytes in each mailbox (hash)   3 where a key 1 of another type is moved to
-- ARGV  1 mailbox   2 most bytes in it   3… for each envelope: id, age in ms, bytes
-- Returns the time in ms by this server's clock, or 0 if there is no room.
local most, at = whole(ARGV[2]), now()
if #KEYS ~= 3 or not most or #ARGV < 5 or #ARGV % 3 ~= 2 then return invalid('number of arguments') end
local kind = redis.call('TYPE', KEYS[1]).ok
local fresh, bytes = {}, 0
for i = 3, #ARGV, 3 do
  local id, age = ARGV[i], whole(ARGV[i + 1])
  if not (string.match(id, '^%x+:%d+$') and age and #ARGV[i + 2] > 0) then return invalid('envelope') end
  if kind ~= 'hash' or redis.call('HEXISTS', KEYS[1], id) == 0 then
    local envelope = string.format('%.0f ', math.max(at - age, 0)) .. ARGV[i + 2]
    bytes = bytes + #id + #envelope
    fresh[#fresh + 1] = { id, envelope }
  end
end
local foreign = kind ~= 'hash' and kind ~= 'none'
local held = foreign and 0 or whole(redis.call('HGET', KEYS[2], ARGV[1]) or '0') or 0
if held + bytes > most then return 0 end

if foreign then redis.call('RENAME', KEYS[1], KEYS[3]) end
-- The first write is one that Redis may refuse (see apply.lua).
for _, envelope in ipairs(fresh) do redis.call('HSET', KEYS[1], envelope[1], envelope[2]) end
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', held + bytes))
return at
