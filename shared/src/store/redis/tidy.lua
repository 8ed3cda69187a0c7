-- Deletes applied sets that are past their time. The caller has read which those are; a writer that has
-- flushed since has moved its time on and is left alone.
--
-- KEYS  1 sets (sorted set)   2 writers (sorted set)   3… the applied sets
-- ARGV  1 ms without a flush after which a writer is taken off the list   2… the writers of KEYS 3…
local at = now()
local removed = 0
for i = 2, #ARGV do
  local until_ = call('ZSCORE', KEYS[1], ARGV[i])
  if until_ and tonumber(until_) <= at then
    call('DEL', KEYS[i + 1])
    call('ZREM', KEYS[1], ARGV[i])
    call('ZREM', KEYS[2], ARGV[i])
    removed = removed + 1
  end
end
call('ZREMRANGEBYSCORE', KEYS[2], '-inf', at - tonumber(ARGV[1]))
return removed
