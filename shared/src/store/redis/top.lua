-- The pages with the most visits by people over some days, from the lists of these days. Writes nothing.
--
-- KEYS  for each group: the list of the whole (a month, or a day alone), then those of its days
-- ARGV  1 pages wanted   2 text that is in their ids, or empty   3… for each group: number of its days
-- A whole that is listed stands for its days.
local wanted, search, lists, key = tonumber(ARGV[1]), string.lower(ARGV[2]), {}, 1

local function add(list)
  local is_list = redis.call('TYPE', list).ok == 'zset'
  if is_list then lists[#lists + 1] = list end
  return is_list
end

for group = 3, #ARGV do
  local days = tonumber(ARGV[group])
  if not add(KEYS[key]) then
    for day = key + 1, key + days do add(KEYS[day]) end
  end
  key = key + 1 + days
end
if #lists == 0 then return {} end

-- Redis adds them up several times as fast as a loop here. Negative sums: the most visits come first, and among as many the
-- ids in their order.
local question = { #lists, unpack(lists) }
question[#question + 1] = 'WEIGHTS'
for _ = 1, #lists do question[#question + 1] = -1 end
question[#question + 1] = 'WITHSCORES'
local sums, found = redis.call('ZUNION', unpack(question)), {}
for i = 1, #sums, 2 do
  if #found == 2 * wanted then break end
  if search == '' or string.find(string.lower(sums[i]), search, 1, true) then
    found[#found + 1] = sums[i]
    found[#found + 1] = string.format('%.0f', -tonumber(sums[i + 1]))
  end
end
return found
