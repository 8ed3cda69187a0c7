-- Moves a shard's pass on, if it is still what the caller knows. Returns whether it did.
--
-- KEYS  1 the shard's record (hash)   2 bytes of the moves for each owner (hash)
-- ARGV  1 ring   2 the pass that is known   3 the next one   4 late writes that the next one allows for, or empty: any number
--       5 `renew`: no move may be left, and the tag is renewed; `settle`: the change is over; else empty
--       6 with `settle`: the shards that may hold something
local have = redis.call('HMGET', KEYS[1], 'ring', 'moving', 'pass', 'late', 'tag')
if have[1] ~= ARGV[1] or not have[2] or have[3] ~= ARGV[2] then return 0 end
if ARGV[4] ~= '' and (have[4] or '0') ~= ARGV[4] then return 0 end
if ARGV[5] == 'renew' and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
-- Pages may leave a full server: the first write needs no memory.
redis.call('HDEL', KEYS[1], 'pass')
if ARGV[5] == 'renew' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  -- Also where the clock was set back, a later tag is the greater one.
  redis.call('HSET', KEYS[1], 'tag', string.format('%.0f', math.max(now, (tonumber(have[5]) or 0) + 1)))
end
redis.call('HSET', KEYS[1], 'pass', ARGV[3])
if ARGV[5] == 'settle' then
  redis.call('HSET', KEYS[1], 'members', ARGV[6])
  redis.call('HDEL', KEYS[1], 'moving')
end
return 1
