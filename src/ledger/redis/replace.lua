-- The end of a rebuild: what was loaded is the ledger from here on, unless the ledger has gone on meanwhile. Then it waits
-- for a moment, so that what is left can be loaded; see enter in fence.lua. The fence stands as it stood. Where events were
-- added that the ledger lacked it falls, and no restart lifts it.
--
-- KEYS  meta
-- ARGV  epoch, history, present epoch, its newest event as the rebuild knows it, newest event that was loaded, clock's mark, policy
--       version, freezes version, newest checkpoint or '0', the last event that it covers, when the newest of those was
-- Returns { 'DONE' } | { 'CHANGED', newest event } | { 'OVERTAKEN' }

local meta = takeKey()
local epoch, history = take(), take()
if not claimed(meta, epoch, history) then return { 'OVERTAKEN' } end
local present, known, newest, mark = take(), take(), take(), tonumber(take())
local fields = redis.call('HMGET', meta, 'epoch', 'sequence', 'clock')
if fields[1] ~= present then return { 'OVERTAKEN' } end
if fields[2] ~= known then
  redis.call('HSET', meta, 'held', whole(clock() + HOLD_MS))
  return { 'CHANGED', fields[2] }
end
redis.call('HSET', meta, 'epoch', epoch, 'sequence', newest, 'clock', whole(math.max(mark, tonumber(fields[3]))),
  'policy', take(), 'freezes', take(), 'held', '0')
local checkpoint, covered, coveredAt = take(), take(), take()
redis.call('HSET', meta, 'checkpoint', checkpoint, 'covered', covered, 'coveredAt', coveredAt, 'trimmed', covered)
if newest ~= known then redis.call('HSET', meta, 'fence', '', 'synced', '0') end
return { 'DONE' }
