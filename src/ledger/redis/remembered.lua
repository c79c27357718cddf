-- What an approval made the ledger remember, for people.
--
-- KEYS  meta, facts
-- ARGV  epoch, witnessed, fact
-- Returns { 'FOUND', value } | { 'NONE' } | MISSING | CORRUPT detail | EPOCH epoch

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local value = redis.call('HGET', takeKey(), take())
if not value then return { 'NONE' } end
return { 'FOUND', value }
