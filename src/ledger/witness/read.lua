-- A part of the log, for the recovery that this witness has promised its epoch to. A part may repeat events of another.
--
-- KEYS  meta, log, staged
-- ARGV  ledger, epoch, cursor, about how many
-- Returns { 'PAGE', next cursor or '0', (sequence, epoch and event)... } | a refusal

local refusal = isBlank and { 'BLANK' } or refuseStep()
if refusal then return refusal end
local page = redis.call('HSCAN', log, ARGV[3], 'COUNT', ARGV[4])
local reply = { 'PAGE', page[1] }
for _, text in ipairs(page[2]) do
  reply[#reply + 1] = text
end
return reply
