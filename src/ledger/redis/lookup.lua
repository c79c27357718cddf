-- The standing decision of one ask.
--
-- KEYS  meta, asks
-- ARGV  epoch, witnessed, ask key
-- Returns { 'FOUND', decision } | { 'NONE' } | MISSING | CORRUPT detail | EPOCH epoch

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local record = redis.call('HGET', takeKey(), take())
if not record then return { 'NONE' } end
return { 'FOUND', string.match(record, '^%S+ %S+ (.*)$') }
