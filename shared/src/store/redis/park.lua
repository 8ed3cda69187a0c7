-- Stores copies of batches for their owner, another shard: all of them or none.
--
-- Everything is checked before the first write, and the first write is one that Redis may refuse (see
-- apply.lua). A copy that is there already stays as it is.
--
-- KEYS  1 the owner's copies (hash: batch id -> copy)   2 bytes for each owner (hash)   3 where a key 1 of
--       another type is moved to
-- ARGV  1 format   2 owner   3 most bytes for one owner   4… for each copy: batch id, age in ms, increments
-- Returns the time in ms by this server's clock, or 0 if there is no room.
-- A copy is stored as "<format> <time of sealing in ms by this server's clock> <increments>".

if ARGV[1] ~= '1' then return invalid('format: 1 is accepted') end
local most = whole(ARGV[3])
if #KEYS ~= 3 or not most or #ARGV < 6 or #ARGV % 3 ~= 0 then return invalid('number of arguments') end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kind = redis.call('TYPE', KEYS[1]).ok
local fresh, bytes = {}, 0
for i = 4, #ARGV, 3 do
  local id, age = ARGV[i], whole(ARGV[i + 1])
  if not (string.match(id, '^%x+:%d+$') and age and #ARGV[i + 2] > 0) then return invalid('copy') end
  if kind ~= 'hash' or redis.call('HEXISTS', KEYS[1], id) == 0 then
    local copy = ARGV[1] .. string.format(' %.0f ', math.max(now - age, 0)) .. ARGV[i + 2]
    bytes = bytes + #id + #copy
    fresh[#fresh + 1] = id
    fresh[#fresh + 1] = copy
  end
end
local foreign = kind ~= 'hash' and kind ~= 'none'
local taken = foreign and 0 or whole(redis.call('HGET', KEYS[2], ARGV[2]) or '0') or 0
if taken + bytes > most then return 0 end

if foreign then redis.call('RENAME', KEYS[1], KEYS[3]) end
for i = 1, #fresh, 2 do redis.call('HSET', KEYS[1], fresh[i], fresh[i + 1]) end
redis.call('HSET', KEYS[2], ARGV[2], string.format('%.0f', taken + bytes))
return now
