-- Turns sketches into numbers, each in one step with its deletion. A sketch that comes once more, with visitors that
-- arrived late, raises the number only if it counts more by itself.
--
-- KEYS  for each sketch: it (HyperLogLog), and the month that it belongs to (hash)
-- ARGV  for each: the field
-- Returns how many were counted, and the places and reasons of those that cannot be: they stay as they are.
local counted, rejected = 0, {}
for i, field in ipairs(ARGV) do
  local sketch, month = KEYS[2 * i - 1], KEYS[2 * i]
  local kind, of_month = redis.call('TYPE', sketch).ok, redis.call('TYPE', month).ok
  if kind ~= 'none' then
    local done, number = pcall(redis.call, 'PFCOUNT', sketch)
    if not done then
      rejected[#rejected + 1] = { i - 1, type(number) == 'table' and number.err or tostring(number) }
    elseif of_month ~= 'none' and of_month ~= 'hash' then
      rejected[#rejected + 1] = { i - 1, 'WRONGTYPE ' .. month .. ' is no hash' }
    else
      local known = tonumber(redis.call('HGET', month, field) or '') or -1
      -- In this order also on a full server, which refuses a first write that needs memory.
      redis.call('DEL', sketch)
      if number > known then redis.call('HSET', month, field, number) end
      counted = counted + 1
    end
  end
end
return { counted, rejected }
