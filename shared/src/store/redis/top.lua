-- The pages with the most visits by people over some days, from the lists of these days. Writes nothing.
--
-- KEYS  for each group: the list of the whole (a month, or a day alone), then those of its days
-- ARGV  1 pages wanted   2 text that is in their ids, or empty   3… for each group: number of its days
-- A whole that is listed stands for its days.
local KEYS, ARGV, call = KEYS, ARGV, redis.call
local wanted, search, lists = tonumber(ARGV[1]), string.lower(ARGV[2]), {}

local function add(key)
  local is_list = call('TYPE', key).ok == 'zset'
  if is_list then lists[#lists + 1] = key end
  return is_list
end

local key = 1
for group = 3, #ARGV do
  local days = tonumber(ARGV[group])
  if not add(KEYS[key]) then
    for day = key + 1, key + days do add(KEYS[day]) end
  end
  key = key + 1 + days
end
if #lists == 0 then return {} end

-- Redis adds them up several times as fast as a loop here. It puts the fewest visits first, and among as many the ids in
-- their order, in which they stay.
lists[#lists + 1] = 'WITHSCORES'
local sums, found = call('ZUNION', #lists - 1, unpack(lists)), {}
local last = #sums
while last > 0 and #found < 2 * wanted do
  local visits, first = sums[last], last
  while first > 2 and sums[first - 2] == visits do first = first - 2 end
  for i = first, last, 2 do
    local page = sums[i - 1]
    if #found < 2 * wanted and (search == '' or string.find(string.lower(page), search, 1, true)) then
      found[#found + 1] = page
      found[#found + 1] = string.format('%.0f', tonumber(visits))
    end
  end
  last = first - 2
end
return found
