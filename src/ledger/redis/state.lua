-- Everything a replica needs to evaluate, at one instant.
--
-- KEYS  meta, policy, freezes
-- Returns { 'STATE', identity, now, sequence, policy version, freezes version, policy record or '', freeze... }
--   | { 'MISSING' } | { 'CORRUPT', detail }

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local policy, freezes = takeKey(), takeKey()
local reply = { 'STATE', ledger.identity, whole(ledger.now), whole(ledger.sequence), ledger.policy, ledger.freezes,
  redis.call('GET', policy) or '' }
for _, freeze in ipairs(redis.call('HVALS', freezes)) do
  reply[#reply + 1] = freeze
end
return reply
