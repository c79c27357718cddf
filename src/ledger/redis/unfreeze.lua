-- Lifts a freeze.
--
-- KEYS  meta, journal, freezes
-- ARGV  identity served before or empty text, highest event seen, id, body of the event
-- Returns { 'DONE', sequence } | { 'UNKNOWN' } | { 'FENCED', why, sequence, seen } | { 'MISSING' }
--   | { 'CORRUPT', detail }

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
local journal, freezes = takeKey(), takeKey()
local id, body = take(), take()
if redis.call('HEXISTS', freezes, id) == 0 then return { 'UNKNOWN' } end
local sequence = append(ledger, journal, 'unfreeze', body)
redis.call('HDEL', freezes, id)
redis.call('HSET', ledger.meta, 'freezes', sequence)
return { 'DONE', sequence }
