-- A stretch of the journal, oldest first.
--
-- KEYS  meta, journal
-- ARGV  epoch, witnessed, sequence number to start after, how many at most
-- Returns { 'EVENTS', (sequence at type body)... } | MISSING | CORRUPT detail | EPOCH epoch

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local reply = { 'EVENTS' }
for _, entry in ipairs(redis.call('XRANGE', takeKey(), '(' .. take() .. '-0', '+', 'COUNT', take())) do
  local fields = entry[2]
  reply[#reply + 1] = string.match(entry[1], '^%d+')
  reply[#reply + 1] = fields[4]
  reply[#reply + 1] = fields[2]
  reply[#reply + 1] = fields[6]
end
return reply
