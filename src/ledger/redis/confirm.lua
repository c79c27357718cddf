-- Events that are on enough witnesses now, so that repeating a decision need not ask them again. The keys are those of
-- one epoch: a confirmation that comes too late says nothing about a newer one.
--
-- KEYS  meta, pending
-- ARGV  epoch, witnessed, sequence number...
-- Returns { 'DONE' } | MISSING | CORRUPT detail | EPOCH epoch

local _, refusal = open(takeKey())
if refusal then return refusal end
redis.call('ZREM', takeKey(), unpack(ARGV, 3))
return { 'DONE' }
