-- Moves a shard on in a ring change, if it stands where the caller has seen it. Returns whether it did.
--
-- KEYS  1 the shard's record (hash)   2 bytes in each mailbox (hash)
-- ARGV  1 ring   2 round   3 stage that is known   4 late writes that are known   5 next stage: `take` (begins the round, whatever
--       is known of an earlier one), `out`, `cleaned` or empty: settled   6 run of this server   7 the shards that may hold
--       something; empty where they stay
local have, next = call('HMGET', KEYS[1], 'ring', 'round', 'moving', 'late'), ARGV[5]
if next == 'take' then
  local round, new = whole(have[2] or '0') or 0, whole(ARGV[2])
  if round >= new then return round == new and have[1] == ARGV[1] and 1 or 0 end
elseif have[1] ~= ARGV[1] or have[2] ~= ARGV[2] or have[3] ~= ARGV[3] or (have[4] or '0') ~= ARGV[4] then
  return 0
end
if next == 'out' then
  for _, mailbox in ipairs(call('HKEYS', KEYS[2])) do
    if string.sub(mailbox, 1, 8) == 'records:' then return 0 end
  end
end
-- Pages may leave a full server: the first write needs no memory.
call('HDEL', KEYS[1], 'late', 'cleaned')
if next == '' then call('HDEL', KEYS[1], 'moving', 'taken') else call('HSET', KEYS[1], 'moving', next) end
if next == 'take' then call('HSET', KEYS[1], 'ring', ARGV[1], 'round', ARGV[2]) end
if ARGV[7] ~= '' then call('HSET', KEYS[1], 'members', ARGV[7]) end
if next == 'cleaned' then call('HSET', KEYS[1], 'cleaned', digits(now()) .. ' ' .. ARGV[6]) end
return 1
