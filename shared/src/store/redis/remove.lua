-- Takes envelopes out of a mailbox: deletes those that are delivered, puts aside those that cannot be.
--
-- KEYS  1 the mailbox (hash)   2 notes (hash)   3 bytes in each mailbox (hash)   4 what was put aside (hash)
--       5 where a key 1 of another type is moved to
-- ARGV  1 mailbox   2… for each envelope: id, then the note that it must still have to be deleted, or empty; then, for one
--       to be put aside, the reason, else empty
-- Returns how many there were.
if clear(KEYS[1], KEYS[5]) then
  try('HDEL', KEYS[3], ARGV[1])
  return 0
end
local removed, bytes = 0, 0
for i = 2, #ARGV, 3 do
  local id, note, reason = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local envelope = call('HGET', KEYS[1], id)
  if envelope and (note == '' or call('HGET', KEYS[2], id) == note) then
    -- The only write that needs memory comes first: refused, it leaves the envelope where it is.
    if reason ~= '' then call('HSET', KEYS[4], ARGV[1] .. ':' .. id, reason .. '\n' .. envelope) end
    call('HDEL', KEYS[1], id)
    call('HDEL', KEYS[2], id)
    removed, bytes = removed + 1, bytes + #id + #envelope
  end
end
if removed > 0 then
  local left = (whole(call('HGET', KEYS[3], ARGV[1]) or '0') or 0) - bytes
  if call('EXISTS', KEYS[1]) == 0 then
    call('HDEL', KEYS[3], ARGV[1])
  else
    call('HSET', KEYS[3], ARGV[1], digits(math.max(left, 0)))
  end
end
return removed
