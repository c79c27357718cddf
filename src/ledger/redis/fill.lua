-- Adds entries to counters that no active policy charges yet. An entry never lowers what a money key holds, except
-- that one certainly outside the window of the other gives way to the later one, as it would have by being charged.
--
-- KEYS  meta, journal, pending, transactions, then the keys of each entry's counter
-- ARGV  the caller, body of the event, number of entries, then for each: the counter and its need, money key, at (ms)
-- Returns { 'DONE', sequence, event } | { 'EXPIRING' }: transactions are being forgotten, ask again | a refusal of enter

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
if ledger.trimmed < ledger.covered then return { 'EXPIRING' } end

local log, transactions = takeLog(), takeKey()
local sequence, event = append(ledger, log, 'fill', take())
fill(transactions, sequence, tonumber(take()))
return { 'DONE', sequence, event }
