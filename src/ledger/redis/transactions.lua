-- What is known of a transaction, whichever asks were about it. A record under its money key, '-' for what is absent:
--   core fingerprint, approved, rejected, the amount that was approved first, the event that released its charges, the
--   checkpoint that carries what events before it said, and the other events that are about it: every decision, every
--   filling of a counter, its release
-- Those that are not named any more, because there were too many, are a '+' in front.

local EVENTS_LENGTH = 1000

local function newTransaction(core)
  return { core = core, approved = '-', rejected = '-', amount = '-', released = '-', carried = '-', events = '' }
end

-- Returns nil when nothing is known; and the record as it stands.
local function transactionOf(transactions, moneyKey)
  local record = redis.call('HGET', transactions, moneyKey)
  if not record then return nil end
  local known = {}
  known.core, known.approved, known.rejected, known.amount, known.released, known.carried, known.events =
    string.match(record, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
  return known, record
end

local function lastEvent(known)
  return tonumber(string.match(known.events, '%d+$'))
end

local function writeTransaction(transactions, moneyKey, known)
  redis.call('HSET', transactions, moneyKey, known.core .. ' ' .. known.approved .. ' ' .. known.rejected .. ' '
    .. known.amount .. ' ' .. known.released .. ' ' .. known.carried .. ' ' .. known.events)
end

local function keepTransaction(transactions, moneyKey, known, sequence)
  local events = known.events == '' and sequence or known.events .. ',' .. sequence
  if #events > EVENTS_LENGTH then events = '+,' .. sequence end
  known.events = events
  writeTransaction(transactions, moneyKey, known)
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

-- The events that a checkpoint does not cover.
local function eventsAfter(known, to)
  local events = string.sub(known.events, 1, 1) == '+' and { '+' } or {}
  for sequence in string.gmatch(known.events, '%d+') do
    if tonumber(sequence) > to then events[#events + 1] = sequence end
  end
  return table.concat(events, ',')
end

-- As a checkpoint carries it.
local function transactionJson(known, to)
  return '{"approved":' .. (known.approved == '-' and 'false' or 'true')
    .. ',"rejected":' .. (known.rejected == '-' and 'false' or 'true')
    .. (known.core == '-' and '' or ',"core":' .. cjson.encode(known.core))
    .. (known.amount == '-' and '' or ',"amount":"' .. known.amount .. '"')
    .. (known.released == '-' and '' or ',"released":' .. known.released)
    .. ',"events":"' .. eventsAfter(known, to) .. '"}'
end

local function carryTransaction(transactions, moneyKey, known, to, checkpoint)
  known.carried, known.events = checkpoint, eventsAfter(known, to)
  writeTransaction(transactions, moneyKey, known)
end
