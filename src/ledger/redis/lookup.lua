-- The standing decision of one ask.
--
-- KEYS  meta, asks
-- ARGV  ask key
-- Returns { 'FOUND', decision } | { 'NONE' } | { 'MISSING' } | { 'CORRUPT', detail }

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local record = redis.call('HGET', takeKey(), take())
if not record then return { 'NONE' } end
return { 'FOUND', string.match(record, '^%S+ %S+ (.*)$') }
