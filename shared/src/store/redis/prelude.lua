-- Stands before each script: Redis has no include.

-- Loops run once for a page: a local is found faster than a global.
local KEYS, ARGV, call = KEYS, ARGV, redis.call

-- The number that a text is, or nothing. 15 digits: exact in Lua's doubles. No leading zero: HINCRBY does not take one.
-- Most arguments are a few small numbers again and again: those that are known are not looked at twice.
local numbers = { ['0'] = 0 }
local function whole(text)
  local number = text and numbers[text]
  if text and not number then
    number = #text <= 15 and string.match(text, '^[1-9]%d*$') and tonumber(text)
    numbers[text] = number or nil
  end
  return number
end

local function invalid(what)
  return redis.error_reply('INVALID ' .. what)
end

-- Returns this server's time in milliseconds.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Runs a command whose key may be of another type: that costs what belongs there, and nothing else.
local function try(...)
  local done, answer = pcall(call, ...)
  return done and answer or nil
end

-- Returns a number's decimal digits.
local function digits(number)
  return string.format('%.0f', number)
end

-- Moves a key that is no hash out of the way. Returns whether it did.
local function clear(key, to)
  local kind = call('TYPE', key).ok
  if kind == 'hash' or kind == 'none' then return false end
  call('RENAME', key, to)
  return true
end
