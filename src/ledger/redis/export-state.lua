-- How far the journal is exported.
--
-- KEYS  meta
-- Returns { 'EXPORTS', identity, newest sequence, mark or '' } | { 'MISSING' } | { 'CORRUPT', detail }

local ledger, refusal = open(takeKey())
if refusal then return refusal end
return { 'EXPORTS', ledger.identity, whole(ledger.sequence), redis.call('HGET', ledger.meta, 'exported') or '' }
