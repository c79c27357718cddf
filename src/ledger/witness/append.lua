-- One event of the ledger. Once more changes nothing.
--
-- KEYS  meta, log, staged
-- ARGV  ledger, epoch, sequence, event
-- Returns { 'KEPT' } | a refusal

local refusal = refuseEvent()
if refusal then return refusal end
if epoch > appended then redis.call('HSET', meta, 'promised', whole(epoch), 'appended', whole(epoch)) end
redis.call('HSET', log, ARGV[3], whole(epoch) .. ' ' .. ARGV[4])
return { 'KEPT' }
