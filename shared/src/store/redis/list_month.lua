-- Makes a month's top list of its days'. A key of another type is left as it is.
--
-- KEYS  1 the list (sorted set)   2… the lists of its days   ARGV  1 pages that are listed
local days = {}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if i == 1 and kind ~= 'none' and kind ~= 'zset' then return 0 end
  if i > 1 and kind == 'zset' then days[#days + 1] = key end
end
if #days == 0 then return 0 end
-- The first write needs no memory: a full server takes it.
redis.call('DEL', KEYS[1])
redis.call('ZUNIONSTORE', KEYS[1], #days, unpack(days))
return redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[1])
