-- The pages with the most visits by people over some days, from the lists of these days. Writes nothing.
--
-- KEYS  for each group: the list of the whole (a month, or a day alone), then those of its days
-- ARGV  1 pages wanted   2 text that is in their ids, or empty   3… for each group: number of its days
-- A whole that is listed stands for its days.
local KEYS, ARGV, call = KEYS, ARGV, redis.call
local wanted, search, sums = tonumber(ARGV[1]), string.lower(ARGV[2]), {}

local function add(key)
  local kind = call('TYPE', key).ok
  if kind ~= 'zset' then return false end
  local list = call('ZREVRANGE', key, 0, -1, 'WITHSCORES')
  for i = 1, #list, 2 do
    local page = list[i]
    if sums[page] then
      sums[page] = sums[page] + list[i + 1]
    elseif search == '' or string.find(string.lower(page), search, 1, true) then
      sums[page] = tonumber(list[i + 1])
    end
  end
  return true
end

local key = 1
for group = 3, #ARGV do
  local days = tonumber(ARGV[group])
  if not add(KEYS[key]) then
    for day = key + 1, key + days do add(KEYS[day]) end
  end
  key = key + 1 + days
end

local pages = {}
for page, visits in pairs(sums) do pages[#pages + 1] = { page, visits } end
table.sort(pages, function(left, right)
  if left[2] ~= right[2] then return left[2] > right[2] end
  return left[1] < right[1]
end)
local found = {}
for i = 1, math.min(wanted, #pages) do
  found[2 * i - 1] = pages[i][1]
  found[2 * i] = string.format('%.0f', pages[i][2])
end
return found
