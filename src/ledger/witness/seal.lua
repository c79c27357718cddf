-- Promises to take no event of an older epoch any more. No epoch is promised twice: two recoveries must not share one.
--
-- KEYS  meta, log, staged
-- ARGV  ledger, epoch
-- Returns { 'SEALED' } | a refusal

local refusal = refuseEvent()
if refusal then return refusal end
if epoch == promised then return { 'PROMISED', whole(promised) } end
redis.call('HSET', meta, 'promised', whole(epoch))
return { 'SEALED' }
