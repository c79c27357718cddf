-- The board of what waits; see board.lua.
--
-- KEYS  meta, waiting
-- ARGV  epoch, witnessed
-- Returns { 'FOUND', (ask, what the board says of it)... } | MISSING | CORRUPT detail | EPOCH epoch

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local board = takeKey()
local reply, cursor = { 'FOUND' }, '0'
repeat
  local page = redis.call('HSCAN', board, cursor, 'COUNT', '1000')
  cursor = page[1]
  for _, text in ipairs(page[2]) do
    reply[#reply + 1] = text
  end
until cursor == '0'
return reply
