-- The end of a recovery: what was loaded is the ledger, valid on this server's history from here on.
--
-- KEYS  meta
-- ARGV  epoch, history, identity, '1' if it is kept by witnesses, '1' as for reopen.lua, sequence, clock, policy version,
--       freezes version, newest checkpoint or '0', the last event that it covers, when the newest of those was
-- Returns { 'DONE' } | { 'OVERTAKEN' }

local meta = takeKey()
local epoch, history = take(), take()
if not claimed(meta, epoch, history) then return { 'OVERTAKEN' } end
local identity, witnessed, synced = take(), take(), take()
redis.call('HSET', meta, 'identity', identity, 'format', FORMAT, 'epoch', epoch, 'witnessed', witnessed,
  'sequence', take(), 'clock', take(), 'policy', take(), 'freezes', take(), 'fence', history,
  'synced', server().replicas == 0 and synced or '0', 'seen', '0')
local checkpoint, covered, coveredAt = take(), take(), take()
redis.call('HSET', meta, 'checkpoint', checkpoint, 'covered', covered, 'coveredAt', coveredAt, 'trimmed', covered)
return { 'DONE' }
