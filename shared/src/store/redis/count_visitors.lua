-- Turns sketches into numbers, each in one step with its deletion. A number that is there already stays if it is more.
--
-- KEYS  for each sketch: it (HyperLogLog), and the month that it belongs to (hash)   ARGV  for each: the field
-- Returns how many were counted, and the places and reasons of those that cannot be: they stay as they are.
local counted, rejected = 0, {}
for i, field in ipairs(ARGV) do
  local sketch, month = KEYS[2 * i - 1], KEYS[2 * i]
  local done, refusal = pcall(function()
    if redis.call('EXISTS', sketch) == 0 then return end
    local number = redis.call('PFCOUNT', sketch)
    local known = tonumber(redis.call('HGET', month, field) or '') or -1
    -- In this order also on a full server, which refuses a first write that needs memory.
    redis.call('DEL', sketch)
    if number > known then redis.call('HSET', month, field, number) end
    counted = counted + 1
  end)
  if not done then rejected[#rejected + 1] = { i - 1, type(refusal) == 'table' and refusal.err or tostring(refusal) } end
end
return { counted, rejected }
