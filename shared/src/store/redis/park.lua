-- Stores envelopes in a mailbox: all of them or none. One that is there already stays as it is.
--
-- KEYS  1 the mailbox (hash: id -> "<ms> <bytes>")   2 bytes in each mailbox (hash)   3 where a key 1 of another type is moved to
-- ARGV  1 mailbox   2 most bytes in it   3… for each envelope: id, age in ms, bytes
-- Returns the time in ms by this server's clock, or 0 if there is no room.
local most, at = whole(ARGV[2]), now()
if #KEYS ~= 3 or not most or #ARGV < 5 or #ARGV % 3 ~= 2 then return invalid('number of arguments') end
local fresh, bytes = {}, 0
for i = 3, #ARGV, 3 do
  local id, age = ARGV[i], whole(ARGV[i + 1])
  if not (string.match(id, '^%x+:%d+$') and age and #ARGV[i + 2] > 0) then return invalid('envelope') end
  -- Where the key is of another type, none is there.
  if try('HEXISTS', KEYS[1], id) ~= 1 then
    fresh[#fresh + 1] = { id, digits(math.max(at - age, 0)) .. ' ' .. ARGV[i + 2] }
    bytes = bytes + #id + #fresh[#fresh][2]
  end
end
local held = try('HLEN', KEYS[1]) and whole(call('HGET', KEYS[2], ARGV[1]) or '0') or 0
if held + bytes > most then return 0 end

clear(KEYS[1], KEYS[3])
-- The first write is one that Redis may refuse (see apply.lua).
for _, envelope in ipairs(fresh) do call('HSET', KEYS[1], envelope[1], envelope[2]) end
call('HSET', KEYS[2], ARGV[1], digits(held + bytes))
return at
