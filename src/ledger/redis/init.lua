-- Makes an empty store a ledger, once.
--
-- KEYS  meta, journal, pending
-- ARGV  epoch, '1' if the ledger is to be kept by witnesses, identity, body of the event, '1' as for reopen.lua
-- Returns { 'CREATED', event } | { 'EXISTS' } | { 'FENCED', why, '0', '0' } | { 'CORRUPT', detail }

local meta = takeKey()
if redis.call('HEXISTS', meta, 'identity') == 1 then return { 'EXISTS' } end
if redis.call('EXISTS', KEYS[2]) == 1 then return { 'CORRUPT', 'it has a journal and no identity' } end
local here = server()
if not here then return { 'FENCED', 'info', '0', '0' } end
if here.role ~= 'master' then return { 'FENCED', 'role', '0', '0' } end
local epoch, witnessed, identity, body, synced = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
redis.call('HSET', meta, 'identity', identity, 'format', FORMAT, 'epoch', epoch, 'witnessed', witnessed,
  'sequence', '0', 'clock', '0', 'policy', '0', 'freezes', '0', 'fence', here.history,
  'synced', here.replicas == 0 and synced or '0', 'seen', '0', 'checkpoint', '0', 'covered', '0', 'coveredAt', '0',
  'trimmed', '0')
local ledger = open(meta)
local _, event = append(ledger, takeLog(), 'ledger', body)
return { 'CREATED', event }
