-- Notes of envelopes, if they are still there, where they were found now, by this server's clock.
--
-- KEYS  1 the mailbox (hash)   2 notes (hash: id -> "<ms> <run of a server> <here or there>")   3 where a key 2 of another type is moved to
-- ARGV  1 `here` or `there`   2… for each envelope: id, run of the server that it was found on
clear(KEYS[2], KEYS[3])
local at = digits(now()) .. ' '
for i = 2, #ARGV, 2 do
  -- A full server takes notes as well, since what is noted goes: the first write needs no memory.
  call('HDEL', KEYS[2], ARGV[i])
  if call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    call('HSET', KEYS[2], ARGV[i], at .. ARGV[i + 1] .. ' ' .. ARGV[1])
  end
end
