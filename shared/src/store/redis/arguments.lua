-- What the scripts that change something check their arguments with. It stands before each of them: Redis has no include.

-- The number that a text is, or nothing. 15 digits: exact in Lua's doubles. No leading zero: HINCRBY does not take one.
local function whole(text)
  return text and #text <= 15 and (text == '0' or string.match(text, '^[1-9]%d*$')) and tonumber(text)
end

local function invalid(what)
  return redis.error_reply('INVALID ' .. what)
end

