-- Adds a freeze. The same freeze again changes nothing; its id never stands for another one, which could be narrower.
--
-- KEYS  meta, journal, pending, freezes
-- ARGV  the caller, id, freeze
-- Returns { 'DONE', sequence, event } | { 'TAKEN' } | a refusal of enter

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
local log, freezes = takeLog(), takeKey()
local id, freeze = take(), take()
local known = redis.call('HGET', freezes, id)
if known then
  local sequence, body = string.match(known, '^(%S+) (.*)$')
  if body == freeze then return { 'DONE', sequence, pendingText(ledger, log, sequence) } end
  return { 'TAKEN' }
end
local sequence, event = append(ledger, log, 'freeze', freeze)
redis.call('HSET', freezes, id, sequence .. ' ' .. freeze)
redis.call('HSET', ledger.meta, 'freezes', sequence)
return { 'DONE', sequence, event }
