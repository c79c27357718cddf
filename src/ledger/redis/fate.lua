-- What reports have said of a transaction, and what is known of its approvals.
--
-- KEYS  meta, journal, pending, fates, transactions, facts
-- ARGV  epoch, witnessed, money key, the fact that members of it were approved
-- Returns { 'FOUND', its fate as it stands or empty text, the event that recorded it as witnesses must have it or empty
--   text, '1' if approved, '1' if rejected, '1' if released, '1' if members were approved }
--   | MISSING | CORRUPT detail | EPOCH epoch

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local log, fates, transactions, facts = takeLog(), takeKey(), takeKey(), takeKey()
local moneyKey, batch = take(), take()
local fate = redis.call('HGET', fates, moneyKey) or ''
local sequence = string.match(fate, '^%d+')
local known = transactionOf(transactions, moneyKey) or newTransaction('-')
return { 'FOUND', fate, sequence and pendingText(ledger, log, sequence) or '',
  known.approved ~= '-' and '1' or '0', known.rejected ~= '-' and '1' or '0', known.released ~= '-' and '1' or '0',
  redis.call('HGET', facts, batch) and '1' or '0' }
