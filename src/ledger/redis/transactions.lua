-- What is known of a transaction, whichever asks were about it. A record under its money key, '-' for what is absent:
--   core fingerprint, approved, rejected, the amount that was approved first, the event that released its charges, and
--   the events that are about it: every decision, every filling of a counter, its release
-- Those that are not named any more, because there were too many, are a '+' in front.

local EVENTS_LENGTH = 1000

local function newTransaction(core)
  return { core = core, approved = '-', rejected = '-', amount = '-', released = '-', events = '' }
end

-- Returns nil when nothing is known; and the record as it stands.
local function transactionOf(transactions, moneyKey)
  local record = redis.call('HGET', transactions, moneyKey)
  if not record then return nil end
  local known = {}
  known.core, known.approved, known.rejected, known.amount, known.released, known.events =
    string.match(record, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
  return known, record
end

local function keepTransaction(transactions, moneyKey, known, sequence)
  local events = known.events == '' and sequence or known.events .. ',' .. sequence
  if #events > EVENTS_LENGTH then events = '+,' .. sequence end
  redis.call('HSET', transactions, moneyKey, known.core .. ' ' .. known.approved .. ' ' .. known.rejected .. ' '
    .. known.amount .. ' ' .. known.released .. ' ' .. events)
end

-- What a decision says of its transaction.
local function decideTransaction(transactions, moneyKey, known, decided)
  if decided.effect == 'reject' then known.rejected = 'rejected' end
  if decided.effect == 'approve' then
    known.approved = 'approved'
    if known.amount == '-' then known.amount = decided.amount end
  end
  keepTransaction(transactions, moneyKey, known, decided.sequence)
end

-- What a filled counter says of a transaction that was decided; of others nothing is known.
local function fillTransaction(transactions, moneyKey, sequence)
  local known = transactionOf(transactions, moneyKey)
  if known and string.match(known.events, '(%d+)$') ~= sequence then
    keepTransaction(transactions, moneyKey, known, sequence)
  end
end
