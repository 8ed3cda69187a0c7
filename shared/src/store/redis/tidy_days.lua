-- What every run of flush-visits does to a shard's days. A key of another type is left as it is.
--
-- KEYS  1 how far days have been rolled up (hash)   2 the shard's record (hash)
--       3… top lists of days that are still being counted (sorted sets), then secrets to be destroyed (texts)
-- ARGV  1 number of top lists   2 pages that stay in each
-- Returns how many secrets were destroyed, the pass, and the ring in force.
local lists, kept, destroyed = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
for i = 3, #KEYS do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if i - 2 <= lists then
    if kind == 'zset' then redis.call('ZREMRANGEBYRANK', KEYS[i], 0, -(kept + 1)) end
  elseif kind == 'string' then
    destroyed = destroyed + redis.call('DEL', KEYS[i])
  end
end
return { destroyed, redis.call('HGET', KEYS[1], 'pass'), redis.call('HGET', KEYS[2], 'ring') }
