-- An operator's word that this server alone holds the ledger now: the log goes on at a sequence number above all that
-- anybody has seen.
--
-- KEYS  meta, journal, pending
-- ARGV  epoch, witnessed, identity, history, sequence number of the event, body of the event, '1' as for reopen.lua
-- Returns { 'DONE', sequence, event } | { 'CHANGED', sequence, highest event seen, history } | a refusal of enter

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local log = takeLog()
local identity, history, sequence, body, synced = take(), take(), tonumber(take()), take(), take()
local here = server()
local why = barrier(ledger, here, '', 0)
if why == 'info' or why == 'role' then
  return { 'FENCED', why, whole(ledger.sequence), whole(ledger.seen) }
end
if identity ~= ledger.identity or history ~= here.history or sequence <= ledger.sequence or sequence <= ledger.seen then
  return { 'CHANGED', whole(ledger.sequence), whole(ledger.seen), here.history }
end
ledger.sequence = sequence - 1
local _, event = append(ledger, log, 'activation', body)
redis.call('HSET', ledger.meta, 'fence', history, 'synced', here.replicas == 0 and synced or '0')
return { 'DONE', whole(sequence), event }
