-- The oldest events that are not known to be on enough witnesses: whoever recorded them may have died before they were.
--
-- KEYS  meta, journal, pending
-- ARGV  epoch, witnessed, how many at most
-- Returns { 'EVENTS', (sequence event)... } | MISSING | CORRUPT detail | EPOCH epoch

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local log = takeLog()
local reply = { 'EVENTS' }
for _, sequence in ipairs(redis.call('ZRANGE', log.pending, '0', whole(tonumber(take()) - 1))) do
  reply[#reply + 1] = sequence
  reply[#reply + 1] = pendingText(ledger, log, sequence)
end
return reply
