-- Makes an empty store a ledger, once.
--
-- KEYS  meta, journal
-- ARGV  identity, body of the event
-- Returns { 'CREATED' } | { 'EXISTS' } | { 'CORRUPT', detail }

local meta, journal = takeKey(), takeKey()
if redis.call('HEXISTS', meta, 'identity') == 1 then return { 'EXISTS' } end
if redis.call('EXISTS', journal) == 1 then return { 'CORRUPT', 'it has a journal and no identity' } end
local identity, body = take(), take()
redis.call('HSET', meta, 'identity', identity, 'format', FORMAT, 'epoch', '0', 'sequence', '0', 'clock', '0',
  'policy', '0', 'freezes', '0')
local ledger = open(meta)
append(ledger, journal, 'ledger', body)
return { 'CREATED' }
