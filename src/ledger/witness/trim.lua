-- Removes events that a checkpoint covers, if this witness holds it: without it they may be the only ones to tell.
--
-- KEYS  meta, log, staged
-- ARGV  ledger, epoch, number of the checkpoint, the last event that it covers, how many numbers at most
-- Returns { 'TRIMMED', the last number that was looked at } | { 'LACKING' } | a refusal

local refusal = refuseEvent()
if refusal then return refusal end
local checkpoint = redis.call('HGET', log, ARGV[3])
if not checkpoint or not string.find(checkpoint, '^%d+ checkpoint %d+ {"ledger":"[^"]*","from":%d+,"to":' .. ARGV[4] .. ',') then
  return { 'LACKING' }
end
local trimmed = tonumber(redis.call('HGET', meta, 'trimmed') or '0')
local last = math.min(tonumber(ARGV[4]), trimmed + tonumber(ARGV[5]))
for sequence = trimmed + 1, last do
  redis.call('HDEL', log, whole(sequence))
end
if last > trimmed then redis.call('HSET', meta, 'trimmed', whole(last)) end
return { 'TRIMMED', whole(math.max(last, trimmed)) }
