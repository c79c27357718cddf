-- What a recovery must know of a server before it begins.
--
-- KEYS  meta
-- Returns { 'SURVEY', role, history, identity or '', epoch, claim, '1' if decisions are made, sequence } | { 'INFO' }

local meta = takeKey()
local here = server()
if not here then return { 'INFO' } end
local fields = redis.call('HMGET', meta, 'identity', 'epoch', 'claim', 'fence', 'sequence')
local isOpen = here.role == 'master' and fields[4] == here.history
return { 'SURVEY', here.role, here.history, fields[1] or '', fields[2] or '0', fields[3] or '0', isOpen and '1' or '0',
  fields[5] or '0' }
