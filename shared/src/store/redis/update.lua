-- Writes down what was found of envelopes: where they were found last, that they are delivered, or can never be. A full server
-- takes it, since what is noted goes: the first write needs no memory.
--
-- KEYS  1 the mailbox (hash)   2 its notes (hash: id -> "<ms> <run of a server> <here or there>")   3 bytes in each mailbox (hash)
--       4 what was put aside (hash)   5, 6 where a key 1 or 2 of another type is moved to
-- ARGV  1 mailbox   2… for each envelope: `note`, its id, the note without its time; or `delete`, its id, the note that it must
--       still bear; or `aside`, its id, the reason
-- Returns of each whether it was there, with that note.
local cleared, at, bytes, done = clear(KEYS[1], KEYS[5]), digits(now()) .. ' ', 0, {}
clear(KEYS[2], KEYS[6])
for i = 2, #ARGV, 3 do
  local what, id, text = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local envelope = call('HGET', KEYS[1], id)
  local is_there = envelope and (what ~= 'delete' or call('HGET', KEYS[2], id) == text)
  if is_there then
    call('HDEL', KEYS[2], id)
    if what == 'note' then
      call('HSET', KEYS[2], id, at .. text)
    elseif what == 'delete' or try('HSET', KEYS[4], ARGV[1] .. ':' .. id, text .. '\n' .. envelope) then
      call('HDEL', KEYS[1], id)
      bytes = bytes + #id + #envelope
    else
      is_there = false
    end
  end
  done[#done + 1] = is_there and 1 or 0
end
if cleared or bytes > 0 then
  local left = (whole(try('HGET', KEYS[3], ARGV[1])) or 0) - bytes
  if call('EXISTS', KEYS[1]) == 0 then
    try('HDEL', KEYS[3], ARGV[1])
  else
    try('HSET', KEYS[3], ARGV[1], digits(math.max(left, 0)))
  end
end
return done
