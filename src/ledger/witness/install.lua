-- Makes the events put aside the log. A blank witness becomes one that votes.
--
-- KEYS  meta, log, staged
-- ARGV  ledger, epoch, number of events
-- Returns { 'INSTALLED' } | a refusal

local refusal = refuseStep()
if refusal then return refusal end
if ARGV[3] == '0' then
  if not isBlank or redis.call('EXISTS', log) == 1 then return { 'PROMISED', whole(promised) } end
else
  if staging ~= epoch or redis.call('HLEN', staged) ~= tonumber(ARGV[3]) then return { 'PROMISED', whole(staging) } end
  redis.call('UNLINK', log)
  redis.call('RENAME', staged, log)
end
redis.call('HDEL', meta, 'staging')
redis.call('HSET', meta, 'ledger', ledger, 'promised', whole(epoch), 'base', whole(epoch))
return { 'INSTALLED' }
