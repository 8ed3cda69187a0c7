-- Turns sketches into numbers, each in one step with its deletion. A number that is there already stays if it is more.
--
-- KEYS  for each sketch: it (HyperLogLog), and the month that it belongs to (hash)   ARGV  for each: the field
-- Returns how many were counted, and the places and reasons of those that cannot be: they stay as they are.
local counted, rejected = 0, {}
for i, field in ipairs(ARGV) do
  local sketch, month = KEYS[2 * i - 1], KEYS[2 * i]
  local number, known = redis.pcall('PFCOUNT', sketch), redis.pcall('HGET', month, field)
  local refusal = type(number) == 'table' and number.err or type(known) == 'table' and known.err
  if refusal then
    rejected[#rejected + 1] = { i - 1, refusal }
  elseif call('DEL', sketch) == 1 then
    -- In this order also on a full server, which refuses a first write that needs memory.
    if number > (tonumber(known or '') or -1) then call('HSET', month, field, number) end
    counted = counted + 1
  end
end
return { counted, rejected }
