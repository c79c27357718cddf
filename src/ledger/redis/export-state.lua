-- How far the journal is exported, and how far it may be.
--
-- KEYS  meta, pending
-- ARGV  epoch, witnessed
-- Returns { 'EXPORTS', identity, last event before the first that is not on enough witnesses, mark or '' }
--   | MISSING | CORRUPT detail | EPOCH epoch

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local oldest = redis.call('ZRANGE', takeKey(), '0', '0')[1]
return { 'EXPORTS', ledger.identity, whole(oldest and oldest - 1 or ledger.sequence),
  redis.call('HGET', ledger.meta, 'exported') or '' }
