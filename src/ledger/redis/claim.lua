-- A recovery takes the server for its epoch: from here on nothing is decided on it, and no older recovery may write.
-- For a rebuild from the journal decisions go on: replace.lua looks whether they have.
--
-- KEYS  meta
-- ARGV  epoch, history, '1' for a rebuild
-- Returns { 'DONE' } | { 'OVERTAKEN' }

local meta = takeKey()
local epoch, history = tonumber(take()), take()
local here = server()
local fields = redis.call('HMGET', meta, 'epoch', 'claim')
if not here or here.role ~= 'master' or here.history ~= history then return { 'OVERTAKEN' } end
if epoch <= tonumber(fields[1] or '0') or epoch <= tonumber(fields[2] or '0') then return { 'OVERTAKEN' } end
redis.call('HSET', meta, 'claim', whole(epoch), 'claimed', history)
if take() ~= '1' then redis.call('HSET', meta, 'fence', '') end
return { 'DONE' }
