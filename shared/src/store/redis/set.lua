-- Sets a page's count, exactly once.
--
-- KEYS  1 the call's own applied set (hash)   2 sets (sorted set)   3 the shard's record (hash)   4 the page's record
--       5… what is forgotten: months and visitors of the page, and lists that it is taken from
-- ARGV  1 id   2 how long to know the call again, ms   3 ring   4 count   5 page   6 what the call sets, as text
-- Returns 1 or, for a repetition, 2, with the visits before and those of them by bots; 0: pages are moving; -1: the id is
-- another call's.
local before = call('HMGET', KEYS[1], 'set', 'previous', 'previous_bots')
if before[1] == ARGV[6] then return { 2, before[2] or '0', before[3] or '0' } end
if before[1] then return { -1, '0', '0' } end
local ring = call('HMGET', KEYS[3], 'ring', 'moving')
if ring[1] ~= ARGV[3] or ring[2] then return { 0, '0', '0' } end
local record, is_zero = call('HMGET', KEYS[4], 'total', 'bots'), ARGV[4] == '0'
local visits, bots = record[1] or '0', record[2] or '0'

-- A full server refuses a first write that needs memory (see apply.lua): a call that frees some begins with one that needs none.
if is_zero then call('HDEL', KEYS[4], '') end
-- Refused also where the key is of another type: then nothing has changed.
call('ZADD', KEYS[2], now() + ARGV[2], ARGV[1])
call('HSET', KEYS[1], 'floor', 1, 'set', ARGV[6], 'previous', visits, 'previous_bots', bots)
call('HDEL', KEYS[4], 'total', 'bots')
if not is_zero then call('HSET', KEYS[4], 'total', ARGV[4]) end
for i = 5, #KEYS do
  if not try('ZREM', KEYS[i], ARGV[5]) then call('DEL', KEYS[i]) end
end
return { 1, visits, bots }
