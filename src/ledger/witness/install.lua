-- Makes the events put aside the log. A blank witness becomes one that votes.
--
-- KEYS  meta, log, staged
-- ARGV  ledger, epoch, disk, number of events
-- Returns { 'INSTALLED' } | a refusal

local refusal = refuseInstallation(ARGV[3])
if refusal then return refusal end
if ARGV[4] == '0' then
  -- A ledger that begins, or one that nobody was ever answered from.
  redis.call('UNLINK', log, staged)
else
  if staging ~= epoch or redis.call('HLEN', staged) ~= tonumber(ARGV[4]) then return { 'PROMISED', whole(staging) } end
  redis.call('UNLINK', log)
  redis.call('RENAME', staged, log)
end
redis.call('HDEL', meta, 'staging')
redis.call('HSET', meta, 'ledger', ledger, 'promised', whole(epoch), 'base', whole(epoch))
return { 'INSTALLED' }
