-- Who is charged: a transaction by its money key, or an ask without one.

-- A holder as range.ts has it: 'transaction' or 'ask', its key, the key as JSON, number of counters, then each, and its
-- JSON up to what it holds.
local function takeHolder()
  local holder = { kind = take(), key = take(), keyJson = take(), counters = {} }
  for index = 1, tonumber(take()) do
    local counter = takeCounter()
    counter.json = take()
    holder.counters[index] = counter
  end
  return holder
end

-- The number of the event in a decision's record: no text inside it can hold this, its quotes would be escaped.
local function sequenceOf(decision)
  return string.match(decision, ',"sequence":(%d+),"decidedAtMs":')
end

-- Whether what that event wrote is covered by a checkpoint and not forgotten yet. Nothing is decided by it any more: once
-- it is forgotten the same question is a new one.
local function isExpiring(ledger, sequence)
  return ledger.trimmed < ledger.covered and tonumber(sequence) <= ledger.covered
end

-- Looks up what is known of a holder; `isForgotten`: no event after `to` is about it.
local function lookUp(holder, to, transactions, asks)
  if holder.kind == 'transaction' then
    holder.known = transactionOf(transactions, holder.key)
    holder.isForgotten = not holder.known or lastEvent(holder.known) <= to
  else
    local record = redis.call('HGET', asks, holder.key)
    holder.isForgotten = not record or tonumber(sequenceOf(record)) <= to
  end
end

-- Makes a money key hold exactly this in a counter of amounts.
local function hold(counter, moneyKey, amount, at)
  holding(counter, moneyKey)
  if compare(amount, ZERO) == 0 then return giveBack(counter, moneyKey) end
  redis.call('HSET', counter.held, moneyKey, decimal(amount), TOTAL, decimal(sum(counter.rest, amount)))
  if counter.times then redis.call('ZADD', counter.times, at, moneyKey) end
end
