-- Notes of envelopes, if they are still there, where they were found now, by this server's clock.
--
-- KEYS  1 the mailbox (hash)   2 notes (hash: id -> "<ms> <run of a server> <here or there>")   3 where a key 2 of another type is moved to
-- ARGV  1 `here` or `there`   2… for each envelope: id, run of the server that it was found on
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('RENAME', KEYS[2], KEYS[3]) end
local at = string.format('%.0f ', now())
for i = 2, #ARGV, 2 do
  -- A full server takes notes as well, since what is noted goes: the first write needs no memory.
  redis.call('HDEL', KEYS[2], ARGV[i])
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[2], ARGV[i], at .. ARGV[i + 1] .. ' ' .. ARGV[1])
  end
end
