-- Everything a replica needs to evaluate, at one instant.
--
-- KEYS  meta, journal, pending, policy, freezes
-- ARGV  epoch, '1' if the caller takes decisions to witnesses
-- Returns { 'STATE', identity, now, sequence, last event before the first that is not on enough witnesses, policy version,
--   freezes version, policy record or '', number of events that are in force and not on enough witnesses,
--   (sequence, event)..., freeze... } | MISSING | CORRUPT detail | EPOCH epoch

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local log, policy, freezes = takeLog(), takeKey(), takeKey()
local standing = redis.call('HVALS', freezes)
local inForce = { ledger.policy, ledger.freezes }
for _, freeze in ipairs(standing) do
  inForce[#inForce + 1] = string.match(freeze, '^%S+')
end
local unconfirmed = {}
for _, sequence in ipairs(inForce) do
  local event = pendingText(ledger, log, sequence)
  if event ~= '' then
    unconfirmed[#unconfirmed + 1] = sequence
    unconfirmed[#unconfirmed + 1] = event
  end
end
local oldest = redis.call('ZRANGE', log.pending, '0', '0')[1]
local reply = { 'STATE', ledger.identity, whole(ledger.now), whole(ledger.sequence),
  whole(oldest and oldest - 1 or ledger.sequence),
  ledger.policy, ledger.freezes, redis.call('GET', policy) or '', whole(#unconfirmed / 2) }
for _, text in ipairs(unconfirmed) do
  reply[#reply + 1] = text
end
for _, freeze in ipairs(standing) do
  reply[#reply + 1] = freeze
end
return reply
