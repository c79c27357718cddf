-- Where the fence stands, for people.
--
-- KEYS  meta
-- ARGV  the caller, '1' if it found that the server may lose its last writes: then the next restart is not trusted,
--       whatever the settings are by then
-- Returns { 'FENCE', why or empty text, sequence, highest event that any replica has seen, history, '1' if a restart
--   may be trusted } | MISSING | CORRUPT detail | EPOCH epoch

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local here = server()
local why = barrier(ledger, here, take(), tonumber(take()))
if take() == '1' and ledger.synced and here and here.role == 'master' then
  redis.call('HSET', ledger.meta, 'synced', '0')
  ledger.synced = false
end
return { 'FENCE', why or '', whole(ledger.sequence), whole(ledger.seen), here and here.history or '',
  ledger.synced and '1' or '0' }
