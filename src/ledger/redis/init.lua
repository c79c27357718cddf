-- Makes an empty store a ledger, once.
--
-- KEYS  meta, journal
-- ARGV  identity, body of the event, '1' as for reopen.lua
-- Returns { 'CREATED' } | { 'EXISTS' } | { 'FENCED', why, '0', '0' } | { 'CORRUPT', detail }

local meta, journal = takeKey(), takeKey()
if redis.call('HEXISTS', meta, 'identity') == 1 then return { 'EXISTS' } end
if redis.call('EXISTS', journal) == 1 then return { 'CORRUPT', 'it has a journal and no identity' } end
local here = server()
if not here then return { 'FENCED', 'info', '0', '0' } end
if here.role ~= 'master' then return { 'FENCED', 'role', '0', '0' } end
local identity, body, synced = take(), take(), take()
redis.call('HSET', meta, 'identity', identity, 'format', FORMAT, 'epoch', '0', 'sequence', '0', 'clock', '0',
  'policy', '0', 'freezes', '0', 'fence', here.history, 'synced', here.replicas == 0 and synced or '0', 'seen', '0')
local ledger = open(meta)
append(ledger, journal, 'ledger', body)
return { 'CREATED' }
