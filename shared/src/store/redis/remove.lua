-- Takes envelopes out of a mailbox: deletes those that are delivered, puts aside those that cannot be.
--
-- KEYS  1 the mailbox (hash)   2 notes (hash)   3 bytes in each mailbox (hash)   4 what was put aside (hash)
--       5 where a key 1 of another type is moved to
-- ARGV  1 mailbox   2… for each envelope: id, then the note that it must still have to be deleted, or empty; then, for one
--       to be put aside, the reason, else empty
-- Returns how many there were.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then
  redis.call('RENAME', KEYS[1], KEYS[5])
  if redis.call('TYPE', KEYS[3]).ok == 'hash' then redis.call('HDEL', KEYS[3], ARGV[1]) end
  return 0
end
local removed, bytes = 0, 0
for i = 2, #ARGV, 3 do
  local id, note, reason = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local envelope = redis.call('HGET', KEYS[1], id)
  if envelope and (note == '' or redis.call('HGET', KEYS[2], id) == note) then
    -- The only write that needs memory comes first: refused, it leaves the envelope where it is.
    if reason ~= '' then redis.call('HSET', KEYS[4], ARGV[1] .. ':' .. id, reason .. '\n' .. envelope) end
    redis.call('HDEL', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
    removed, bytes = removed + 1, bytes + #id + #envelope
  end
end
if removed > 0 then
  local left = (tonumber(redis.call('HGET', KEYS[3], ARGV[1]) or '0') or 0) - bytes
  if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('HDEL', KEYS[3], ARGV[1])
  else
    redis.call('HSET', KEYS[3], ARGV[1], string.format('%.0f', math.max(left, 0)))
  end
end
return removed
