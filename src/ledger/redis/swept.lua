-- No keys of epochs below this one are left.
--
-- KEYS  meta
-- ARGV  the caller, epoch
-- Returns { 'DONE' } | a refusal of enter

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
redis.call('HSET', ledger.meta, 'swept', take())
return { 'DONE' }
