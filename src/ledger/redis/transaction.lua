-- What is known of one transaction, and the events about it, with the checkpoint that carries what older ones said.
--
-- KEYS  meta, journal, pending, transactions
-- ARGV  epoch, witnessed, money key
-- Returns { 'FOUND', record, event of its release as witnesses must have it or empty text, (sequence at type body)... }
--   | { 'NONE' } | MISSING | CORRUPT detail | EPOCH epoch

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local log = takeLog()
local known, record = transactionOf(takeKey(), take())
if not known or isExpiring(ledger, lastEvent(known)) then return { 'NONE' } end
local reply = { 'FOUND', record, known.released == '-' and '' or pendingText(ledger, log, known.released) }
for sequence in string.gmatch(known.carried .. ',' .. known.events, '%d+') do
  local entry = redis.call('XRANGE', log.journal, sequence .. '-0', sequence .. '-0')[1]
  if entry then
    reply[#reply + 1] = sequence
    reply[#reply + 1] = entry[2][4]
    reply[#reply + 1] = entry[2][2]
    reply[#reply + 1] = entry[2][6]
  end
end
return reply
