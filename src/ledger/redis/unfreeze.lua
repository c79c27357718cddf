-- Lifts a freeze.
--
-- KEYS  meta, journal, pending, freezes
-- ARGV  the caller, id, body of the event
-- Returns { 'DONE', sequence, event } | { 'UNKNOWN' } | a refusal of enter

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
local log, freezes = takeLog(), takeKey()
local id, body = take(), take()
if redis.call('HEXISTS', freezes, id) == 0 then return { 'UNKNOWN' } end
local sequence, event = append(ledger, log, 'unfreeze', body)
redis.call('HDEL', freezes, id)
redis.call('HSET', ledger.meta, 'freezes', sequence)
return { 'DONE', sequence, event }
