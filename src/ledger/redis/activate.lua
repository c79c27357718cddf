-- Switches all replicas to a policy at one point of the log.
--
-- KEYS  meta, journal, policy
-- ARGV  expected sequence, policy record
-- Returns { 'DONE', sequence } | { 'CHANGED', sequence } | { 'MISSING' } | { 'CORRUPT', detail }

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local journal, policy = takeKey(), takeKey()
local expected, record = take(), take()
if whole(ledger.sequence) ~= expected then return { 'CHANGED', whole(ledger.sequence) } end
local sequence = append(ledger, journal, 'policy', record)
redis.call('SET', policy, record)
redis.call('HSET', ledger.meta, 'policy', sequence)
return { 'DONE', sequence }
