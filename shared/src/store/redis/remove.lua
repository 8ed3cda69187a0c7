-- Takes copies out: to delete those that are delivered, or to put aside those that cannot be.
--
-- KEYS  1 the owner's copies (hash)   2 marks (hash)   3 bytes for each owner (hash)   4 what was put aside (hash)
--       5 further marks, or none (hash)
-- ARGV  1 owner   2… for each copy: batch id, then the mark that it must still have to be deleted, or empty;
--       then, for one to be put aside, the reason, else empty
local removed, bytes = 0, 0
for i = 2, #ARGV, 3 do
  local id, mark, reason = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local copy = redis.call('HGET', KEYS[1], id)
  if copy and (mark == '' or redis.call('HGET', KEYS[2], id) == mark) then
    -- The only write that needs memory comes first: refused, it leaves the copy where it is.
    if reason ~= '' then redis.call('HSET', KEYS[4], ARGV[1] .. ':' .. id, reason .. '\n' .. copy) end
    redis.call('HDEL', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
    if KEYS[5] then redis.call('HDEL', KEYS[5], id) end
    removed = removed + 1
    bytes = bytes + #id + #copy
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
