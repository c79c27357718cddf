-- Adds entries to counters that no active policy charges yet. An entry never lowers what a money key holds, except
-- that one certainly outside the window of the other gives way to the later one, as it would have by being charged.
--
-- KEYS  meta, journal, pending, transactions, moments, then the keys of each entry's counter
-- ARGV  the caller, body of the event (JSON without its end), number of moments, for each: its key, the key as JSON, since
--       (ms); number of entries, for each: the counter and its need, money key, at (ms)
-- Returns { 'DONE', sequence, event } | { 'EXPIRING' }: transactions are being forgotten, ask again | a refusal of enter

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
if ledger.trimmed < ledger.covered then return { 'EXPIRING' } end

local log, transactions, moments = takeLog(), takeKey(), takeKey()
local body, sinces, sincesJson = take(), {}, {}
for index = 1, tonumber(take()) do
  local key, keyJson, since = take(), take(), tonumber(take())
  since = math.min(since, momentOf(moments, ledger, key) or since)
  sinces[index], sincesJson[index] = { key = key, since = since }, keyJson .. ':' .. whole(since)
end
if #sinces > 0 then body = body .. ',"moments":{' .. table.concat(sincesJson, ',') .. '}' end
local sequence, event = append(ledger, log, 'fill', body .. '}')
for _, moment in ipairs(sinces) do
  keepMoment(moments, moment.key, moment.since, sequence)
end
fill(transactions, sequence, tonumber(take()))
return { 'DONE', sequence, event }
