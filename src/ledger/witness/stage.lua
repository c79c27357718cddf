-- Puts events aside for an installation. One without text is taken from the witness's own log.
--
-- KEYS  meta, log, staged
-- ARGV  ledger, epoch, disk, '1' for the first part, (sequence, event or empty text)...
-- Returns { 'STAGED' } | a refusal

local refusal = refuseInstallation(ARGV[3])
if refusal then return refusal end
if ARGV[4] == '1' then
  -- A recovery that is slower than another one must not mix its events with those of that one.
  if staging > epoch then return { 'PROMISED', whole(staging) } end
  redis.call('UNLINK', staged)
  redis.call('HSET', meta, 'staging', whole(epoch))
elseif staging ~= epoch then
  return { 'PROMISED', whole(staging) }
end
for index = 5, #ARGV, 2 do
  local sequence, event = ARGV[index], ARGV[index + 1]
  if event == '' then event = string.match(redis.call('HGET', log, sequence), '^%d+ (.*)$') end
  redis.call('HSET', staged, sequence, whole(epoch) .. ' ' .. event)
end
return { 'STAGED' }
