-- A sketch's content, and by what a change of it is told. Bytes 9 to 16 are a number that reads keep there.
-- It stands before the scripts that use it.
local function content(key)
  if redis.call('TYPE', key).ok ~= 'string' then return nil end
  local value = redis.call('GET', key)
  if string.sub(value, 1, 4) ~= 'HYLL' then return nil end
  return value, redis.sha1hex(string.sub(value, 1, 8) .. string.sub(value, 17))
end

