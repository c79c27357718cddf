-- An operator's word that this server alone holds the ledger now: the log goes on at a sequence number above all that
-- anybody has seen.
--
-- KEYS  meta, journal
-- ARGV  identity, history, sequence number of the event, body of the event, '1' as for reopen.lua
-- Returns { 'DONE', sequence } | { 'CHANGED', sequence, highest event seen, history } | { 'FENCED', why, ... }
--   | { 'MISSING' } | { 'CORRUPT', detail }

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local journal = takeKey()
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
append(ledger, journal, 'activation', body)
redis.call('HSET', ledger.meta, 'fence', history, 'synced', here.replicas == 0 and synced or '0')
return { 'DONE', whole(sequence) }
