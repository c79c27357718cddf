-- Lifts a freeze.
--
-- KEYS  meta, journal, freezes
-- ARGV  id, body of the event
-- Returns { 'DONE', sequence } | { 'UNKNOWN' } | { 'MISSING' } | { 'CORRUPT', detail }

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local journal, freezes = takeKey(), takeKey()
local id, body = take(), take()
if redis.call('HEXISTS', freezes, id) == 0 then return { 'UNKNOWN' } end
local sequence = append(ledger, journal, 'unfreeze', body)
redis.call('HDEL', freezes, id)
redis.call('HSET', ledger.meta, 'freezes', sequence)
return { 'DONE', sequence }
