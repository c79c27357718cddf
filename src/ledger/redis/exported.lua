-- The journal is exported up to an event: the mark moves forward, and never back.
--
-- KEYS  meta
-- ARGV  the caller, identity, sequence, mark
-- Returns { 'DONE' } | { 'CHANGED' } | a refusal of enter

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
local identity, sequence, mark = take(), tonumber(take()), take()
if identity ~= ledger.identity then return { 'CHANGED' } end
local known = redis.call('HGET', ledger.meta, 'exported')
if not known or tonumber(string.match(known, '^%d+')) < sequence then
  redis.call('HSET', ledger.meta, 'exported', mark)
end
return { 'DONE' }
