-- Sets a page's count, exactly once.
--
-- KEYS  1 the call's own applied set (hash)   2 sets (sorted set)   3 the shard's record (hash)   4 the page's record
--       5… what is forgotten: months and visitors of the page, and lists that it is taken from
-- ARGV  1 format   2 id   3 how long to know the call again, ms   4 ring   5 count   6 page   7 what the call sets, as text
-- Returns 1 or, for a repetition, 2, with the visits before and those of them by bots; 0: pages are moving; -1: the id is
-- another call's.

if ARGV[1] ~= '1' then return invalid('format: 1 is accepted') end
local keep, count = whole(ARGV[3]), whole(ARGV[5])
if #KEYS < 4 or #ARGV ~= 7 or not (keep and count) then return invalid('number of arguments') end
if not (#ARGV[2] == 32 and string.match(ARGV[2], '^%x+$')) then return invalid('id') end

local before = redis.call('HMGET', KEYS[1], 'set', 'previous', 'previous_bots')
if before[1] then
  if before[1] ~= ARGV[7] then return { -1, '0', '0' } end
  return { 2, before[2] or '0', before[3] or '0' }
end
local ring = redis.call('HMGET', KEYS[3], 'ring', 'moving')
if ring[1] ~= ARGV[4] or ring[2] then return { 0, '0', '0' } end
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'none' and kind ~= 'zset' then return redis.error_reply('WRONGTYPE ' .. KEYS[2] .. ' is no sorted set') end
local record = redis.call('HMGET', KEYS[4], 'total', 'bots')
local visits, bots = record[1] or '0', record[2] or '0'

-- A full server refuses a first write that needs memory (see apply.lua): a call that frees some begins with one that needs none.
if count == 0 then redis.call('HDEL', KEYS[4], 'total', 'bots') end
redis.call('HSET', KEYS[1], 'floor', 1, 'set', ARGV[7], 'previous', visits, 'previous_bots', bots)
if count > 0 then
  redis.call('HDEL', KEYS[4], 'bots')
  redis.call('HSET', KEYS[4], 'total', ARGV[5])
end
for i = 5, #KEYS do
  if redis.call('TYPE', KEYS[i]).ok == 'zset' then
    redis.call('ZREM', KEYS[i], ARGV[6])
  else
    redis.call('DEL', KEYS[i])
  end
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + keep, ARGV[2])
return { 1, visits, bots }
