-- Takes back what a transaction holds in counters of amounts, and lets nothing of it be approved any more.
--
-- KEYS  meta, journal, pending, transactions, fates, then the keys of each counter
-- ARGV  the caller, '1' to look only, money key, its record as the counters were found from it, body of the event up to
--       the counters, number of counters, then for each: a counter, its JSON up to the amount
-- Returns { 'DONE', sequence, event, amount of each counter... } | { 'CHANGED' }
--   | { 'SIGNED' }: a report said that a signature of it may exist | a refusal of enter

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
local log, transactions, fates = takeLog(), takeKey(), takeKey()
local looksOnly, moneyKey, expected, body = take() == '1', take(), take(), take()
local known, record = transactionOf(transactions, moneyKey)
if record ~= expected or known.released ~= '-' or isExpiring(ledger, lastEvent(known)) then return { 'CHANGED' } end
if not looksOnly and string.match(redis.call('HGET', fates, moneyKey) or '', '^%d+ 1 ') then return { 'SIGNED' } end

local counters, amounts, json = {}, {}, {}
for index = 1, tonumber(take()) do
  local counter = takeCounter()
  holding(counter, moneyKey)
  counters[index], amounts[index] = counter, decimal(counter.amount)
  json[index] = take() .. ',"amount":"' .. amounts[index] .. '"}'
end
if looksOnly then return { 'DONE', '0', '', unpack(amounts) } end

local sequence, event = append(ledger, log, 'release', body .. table.concat(json, ',') .. ']}')
for _, counter in ipairs(counters) do
  giveBack(counter, moneyKey)
end
known.released = sequence
keepTransaction(transactions, moneyKey, known, sequence)
return { 'DONE', sequence, event, unpack(amounts) }
