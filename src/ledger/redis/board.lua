-- The board of what waits, which no decision reads; it stands outside of the epochs, and no recovery looks for it.
-- A field is an ask: the newest time, a blank, the words about it, and a line for each replica that saw it:
-- replica, first, last, count. The field '' holds when somebody posted last.
--
-- KEYS  meta, waiting
-- ARGV  epoch, witnessed, 'post', replica, most asks, number, and for each: ask, words, first, last, count
--    |  epoch, witnessed, 'remove', number, asks
-- Returns { 'DONE', the asks that were removed... } | { 'CLOSED' }, where nothing may be written
--   | MISSING | CORRUPT detail | EPOCH epoch
--
-- It asks for the fence and never drops it, nor says that the server has been written to: nothing is lost with it.

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local board, order = takeKey(), take()
local here = server()
if not here or here.role ~= 'master' or ledger.fence ~= here.history or ledger.seen > ledger.sequence then
  return { 'CLOSED' }
end

if order == 'remove' then
  local removed = { 'DONE' }
  for _ = 1, tonumber(take()) do
    local ask = take()
    if redis.call('HDEL', board, ask) == 1 then removed[#removed + 1] = ask end
  end
  if redis.call('HLEN', board) == 1 and redis.call('HEXISTS', board, '') == 1 then redis.call('DEL', board) end
  return removed
end

local replica, most = take(), tonumber(take())
redis.call('HSET', board, '', whole(ledger.now))
for _ = 1, tonumber(take()) do
  local ask, words, first, last, count = take(), take(), take(), take(), take()
  local known = redis.call('HGET', board, ask)
  local newest, about, seen = string.match(known or '', '^(%d+) ([^\n]*)(.*)$')
  local lines = {}
  for line in string.gmatch(seen or '', '\n([^\n]+)') do
    if string.match(line, '^%S+') ~= replica then lines[#lines + 1] = line end
  end
  lines[#lines + 1] = replica .. ' ' .. first .. ' ' .. last .. ' ' .. count
  if not newest or tonumber(newest) <= tonumber(last) then newest, about = last, words end
  if known or redis.call('HLEN', board) <= most then
    redis.call('HSET', board, ask, newest .. ' ' .. about .. '\n' .. table.concat(lines, '\n'))
  end
end
return { 'DONE' }
