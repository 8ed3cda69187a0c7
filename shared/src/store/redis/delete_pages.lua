-- Deletes pages with all that is kept of them. Made again, it finds nothing. No write needs memory, so a full server takes it.
--
-- KEYS  1 the shard's record (hash)   2… lists that the pages are taken from (sorted sets); then the pages' records (hashes);
--       then what else is kept of the pages
-- ARGV  1 ring   2 number of lists   3… the pages
-- Returns how many of the pages had a count, and their visits; nothing where pages are moving.
local ring = call('HMGET', KEYS[1], 'ring', 'moving')
if ring[1] ~= ARGV[1] or ring[2] then return false end

local pages, records = { unpack(ARGV, 3) }, 2 + ARGV[2]
local rest = records + #pages
for i = 2, records - 1 do try('ZREM', KEYS[i], unpack(pages)) end
local counted, visits = 0, 0
for i = records, rest - 1 do
  if call('TYPE', KEYS[i]).ok == 'hash' then
    local total = tonumber(call('HGET', KEYS[i], 'total') or '')
    if total then counted, visits = counted + 1, visits + total end
    -- Notes of earlier moves stay, as they do where a page's count is set.
    call('HDEL', KEYS[i], 'total', 'bots')
  end
end
for i = rest, #KEYS, 1000 do call('UNLINK', unpack(KEYS, i, math.min(i + 999, #KEYS))) end
return { counted, digits(visits) }
