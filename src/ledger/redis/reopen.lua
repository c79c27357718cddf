-- After a restart: makes the server's new history the one on which the dataset is valid, if nothing can be lost.
--
-- KEYS  meta
-- ARGV  the caller, history it looked at, '1' if it found a standalone server that has every write on its disk before
--       it acknowledges it
-- Returns { 'OPEN' } | a refusal of enter

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local here = server()
local why = barrier(ledger, here, take(), tonumber(take()))
if why == 'history' then
  local history, synced = take(), take() == '1'
  if here.replicas > 0 then
    why = 'replicas'
  elseif here.before ~= NO_HISTORY then
    why = 'promoted'
  elseif not ledger.synced then
    why = 'unsynced'
  elseif not synced or history ~= here.history then
    why = 'settings'
  else
    redis.call('HSET', ledger.meta, 'fence', history)
    why = nil
  end
end
if why then return { 'FENCED', why, whole(ledger.sequence), whole(ledger.seen) } end
return { 'OPEN' }
