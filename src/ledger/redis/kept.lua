-- What is still there.
--
-- KEYS  meta, journal, pending
-- ARGV  epoch, witnessed
-- Returns { 'KEPT', identity, now, number and time of the oldest event, number of the newest checkpoint or '0', the last event that
--   it covers, when the newest of those was, the last event that was forgotten, the checkpoint as witnesses must have it
--   or empty text, the epoch below which no keys are left } | MISSING | CORRUPT detail | EPOCH epoch

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local log = takeLog()
local oldest = redis.call('XRANGE', log.journal, '-', '+', 'COUNT', '1')[1]
local fields = redis.call('HMGET', ledger.meta, 'coveredAt', 'swept')
return { 'KEPT', ledger.identity, whole(ledger.now), oldest and string.match(oldest[1], '^%d+') or '0',
  oldest and oldest[2][4] or '0', ledger.checkpoint, whole(ledger.covered), fields[1] or '0', whole(ledger.trimmed),
  pendingText(ledger, log, ledger.checkpoint), fields[2] or '0' }
