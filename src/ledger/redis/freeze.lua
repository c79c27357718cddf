-- Adds a freeze. The same freeze again changes nothing; its id never stands for another one, which could be narrower.
--
-- KEYS  meta, journal, freezes
-- ARGV  id, freeze
-- Returns { 'DONE', sequence } | { 'TAKEN' } | { 'MISSING' } | { 'CORRUPT', detail }

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local journal, freezes = takeKey(), takeKey()
local id, freeze = take(), take()
local known = redis.call('HGET', freezes, id)
if known then
  local sequence, body = string.match(known, '^(%S+) (.*)$')
  if body == freeze then return { 'DONE', sequence } end
  return { 'TAKEN' }
end
local sequence = append(ledger, journal, 'freeze', freeze)
redis.call('HSET', freezes, id, sequence .. ' ' .. freeze)
redis.call('HSET', ledger.meta, 'freezes', sequence)
return { 'DONE', sequence }
