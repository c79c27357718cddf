-- Records what all reports together say of a transaction. Under its money key stands the event that recorded it, '1' if
-- a signature may exist or '0', and the rest as JSON.
--
-- KEYS  meta, journal, pending, fates
-- ARGV  the caller, money key, its fate as it was found or empty text, the new one without the event, the event's body
-- Returns { 'DONE', sequence, event } | { 'CHANGED' } | a refusal of enter

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
local log, fates = takeLog(), takeKey()
local moneyKey, expected, fate, body = take(), take(), take(), take()
if (redis.call('HGET', fates, moneyKey) or '') ~= expected then return { 'CHANGED' } end
local sequence, event = append(ledger, log, 'report', body)
redis.call('HSET', fates, moneyKey, sequence .. ' ' .. fate)
return { 'DONE', sequence, event }
