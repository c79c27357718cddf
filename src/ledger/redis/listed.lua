-- A page of the board of what waits; see board.lua. What stands there all the while is in one of the pages at least.
--
-- KEYS  meta, waiting
-- ARGV  epoch, witnessed, cursor, how many about
-- Returns { 'FOUND', next cursor or '0', (ask, what the board says of it)... } | MISSING | CORRUPT detail | EPOCH epoch

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local page = redis.call('HSCAN', takeKey(), take(), 'COUNT', take())
local reply = { 'FOUND', page[1] }
for _, text in ipairs(page[2]) do
  reply[#reply + 1] = text
end
return reply
