-- A stretch of the recovered log, in its order, into the keys of a new epoch: each event does there what it did when it
-- was recorded. Nobody reads these keys before settle.lua makes the epoch the ledger's.
--
-- KEYS  meta, journal, asks, conflicts, transactions, bindings, facts, moments, policy, freezes, fates, then the keys of
--       each counter
-- ARGV  epoch, history, number of events, then for each: sequence, at, type, body, and what its type needs; see replay.ts
-- Returns { 'DONE' } | { 'OVERTAKEN' } | { 'CORRUPT', detail }

local meta = takeKey()
if not claimed(meta, take(), take()) then return { 'OVERTAKEN' } end
local journal, asks, conflicts, transactions, bindings, facts, moments, policy, freezes, fates = takeKey(),
  takeKey(), takeKey(), takeKey(), takeKey(), takeKey(), takeKey(), takeKey(), takeKey(), takeKey()

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

-- As they stood after the event.
local function loadMoments(sequence)
  for _ = 1, tonumber(take()) do
    local key, since = take(), tonumber(take())
    keepMoment(moments, key, since, sequence)
  end
end

local load = {}

function load.decision(at, sequence)
  local askKey, fingerprint, effect, decision = take(), take(), take(), take()
  if redis.call('HSETNX', asks, askKey, fingerprint .. ' ' .. effect .. ' ' .. decision) == 0 then
    return 'the log holds two decisions of ' .. askKey
  end
  local requestKey, txId = takeOptional(), take()
  if requestKey then redis.call('HSET', bindings, requestKey, sequence .. ' ' .. txId) end
  local moneyKey, core, amount = takeOptional(), take(), take()
  if moneyKey then
    local known = transactionOf(transactions, moneyKey) or newTransaction(core)
    decideTransaction(transactions, moneyKey, known, { effect = effect, amount = amount, sequence = sequence })
  end
  loadCharges(moneyKey or askKey, at)
  for _ = 1, tonumber(take()) do
    redis.call('HSET', facts, take(), take())
  end
  loadMoments(sequence)
end

function load.conflict()
  redis.call('HSET', conflicts, take(), take())
end

function load.fill(_, sequence)
  fill(transactions, sequence, tonumber(take()))
  loadMoments(sequence)
end

function load.release(_, sequence)
  local moneyKey = take()
  for _ = 1, tonumber(take()) do
    local counter = takeCounter()
    holding(counter, moneyKey)
    giveBack(counter, moneyKey)
  end
  -- Decisions about it may have been forgotten: then a checkpoint that follows says what is known.
  local known = transactionOf(transactions, moneyKey) or newTransaction('-')
  known.released = sequence
  keepTransaction(transactions, moneyKey, known, sequence)
end

function load.report(_, sequence)
  redis.call('HSET', fates, take(), sequence .. ' ' .. take())
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

-- In its place in the log it says how things stood there, whatever was made of them from events that are left.
function load.checkpoint()
  local record = takeOptional()
  if record then redis.call('SET', policy, record) end
  -- A freeze that was lifted since is lifted again: its lifting is a later event than this one, and is covered only where
  -- this one is too.
  for _ = 1, tonumber(take()) do
    redis.call('HSET', freezes, take(), take())
  end
  for _ = 1, tonumber(take()) do
    local held, amount = takeKey(), natural(take())
    redis.call('HSET', held, TOTAL, decimal(sum(natural(redis.call('HGET', held, TOTAL) or '0'), amount)))
  end
  for _ = 1, tonumber(take()) do
    local members = takeKey()
    for _ = 1, tonumber(take()) do
      local member, at = take(), take()
      redis.call('ZADD', members, 'GT', at, member)
    end
  end
  for _ = 1, tonumber(take()) do
    redis.call('HSET', facts, take(), take())
  end
  for _ = 1, tonumber(take()) do
    local moneyKey, about = take(), takeOptional()
    if about then
      redis.call('HSET', transactions, moneyKey, about)
    else
      redis.call('HDEL', transactions, moneyKey)
    end
    for _ = 1, tonumber(take()) do
      local counter, amount, at = takeCounter(), natural(take()), take()
      hold(counter, moneyKey, amount, at)
    end
  end
end

for _ = 1, tonumber(take()) do
  local sequence, at, kind, body = take(), take(), take(), take()
  redis.call('XADD', journal, sequence .. '-0', 'type', kind, 'at', at, 'body', body)
  local problem = load[kind] and load[kind](tonumber(at), sequence, body)
  if problem then return { 'CORRUPT', problem } end
end
return { 'DONE' }
