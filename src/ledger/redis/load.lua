-- A stretch of the recovered log, in its order, into the keys of a new epoch: each event does there what it did when it
-- was recorded. Nobody reads these keys before settle.lua makes the epoch the ledger's.
--
-- KEYS  meta, journal, asks, conflicts, transactions, bindings, facts, policy, freezes, then the keys of each counter
-- ARGV  epoch, history, number of events, then for each: sequence, at, type, body, and what its type needs; see replay.ts
-- Returns { 'DONE' } | { 'OVERTAKEN' } | { 'CORRUPT', detail }

local meta = takeKey()
if not claimed(meta, take(), take()) then return { 'OVERTAKEN' } end
local journal, asks, conflicts, transactions, bindings, facts, policy, freezes =
  takeKey(), takeKey(), takeKey(), takeKey(), takeKey(), takeKey(), takeKey(), takeKey()

local function loadCharges(holder, at)
  for _ = 1, tonumber(take()) do
    local counter = takeCounter()
    repeat
      local _, left = trim(counter, at, TRIM_ENTRIES)
    until not left
    measure(counter, holder)
    charge(counter, holder, at)
  end
end

local load = {}

function load.decision(at, sequence)
  local askKey, fingerprint, effect, decision = take(), take(), take(), take()
  if redis.call('HSETNX', asks, askKey, fingerprint .. ' ' .. effect .. ' ' .. decision) == 0 then
    return 'the log holds two decisions of ' .. askKey
  end
  local requestKey, txId = takeOptional(), take()
  if requestKey then redis.call('HSET', bindings, requestKey, txId) end
  local moneyKey, core, amount = takeOptional(), take(), take()
  if moneyKey then
    local known = transactionOf(transactions, moneyKey) or newTransaction(core)
    decideTransaction(transactions, moneyKey, known, { effect = effect, amount = amount, sequence = sequence })
  end
  loadCharges(moneyKey or askKey, at)
  for _ = 1, tonumber(take()) do
    redis.call('HSET', facts, take(), take())
  end
end

function load.conflict()
  redis.call('HSET', conflicts, take(), take())
end

function load.fill(_, sequence)
  fill(transactions, sequence, tonumber(take()))
end

function load.release(_, sequence)
  local moneyKey = take()
  for _ = 1, tonumber(take()) do
    local counter = takeCounter()
    holding(counter, moneyKey)
    giveBack(counter, moneyKey)
  end
  local known = transactionOf(transactions, moneyKey)
  if not known then return 'the log releases ' .. moneyKey .. ', and has no decision about it' end
  known.released = sequence
  keepTransaction(transactions, moneyKey, known, sequence)
end

function load.policy(_, _, body)
  redis.call('SET', policy, body)
end

function load.freeze(_, sequence, body)
  redis.call('HSET', freezes, take(), sequence .. ' ' .. body)
end

function load.unfreeze()
  redis.call('HDEL', freezes, take())
end

for _ = 1, tonumber(take()) do
  local sequence, at, kind, body = take(), take(), take(), take()
  redis.call('XADD', journal, sequence .. '-0', 'type', kind, 'at', at, 'body', body)
  local problem = load[kind] and load[kind](tonumber(at), sequence, body)
  if problem then return { 'CORRUPT', problem } end
end
return { 'DONE' }
