-- Switches all replicas to a policy at one point of the log.
--
-- KEYS  meta, journal, pending, policy
-- ARGV  the caller, expected sequence, policy record
-- Returns { 'DONE', sequence, event } | { 'CHANGED', sequence } | a refusal of enter

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
local log, policy = takeLog(), takeKey()
local expected, record = take(), take()
if whole(ledger.sequence) ~= expected then return { 'CHANGED', whole(ledger.sequence) } end
local sequence, event = append(ledger, log, 'policy', record)
redis.call('SET', policy, record)
redis.call('HSET', ledger.meta, 'policy', sequence)
return { 'DONE', sequence, event }
