-- Removes what the events that the newest checkpoint covers wrote and no later one did, and the events themselves.
--
-- KEYS  meta, journal, pending, asks, transactions, conflicts, bindings, fates, moments, then the keys of each counter
-- ARGV  the caller, to, number of holders, then each (see holders.lua), number of counters of different members, for
--       each: number of members, then each and when it was approved; number of asks, then each; number of conflicts,
--       then each; number of bindings, then each; number of fates, then each; number of moments, then each
-- Returns { 'DONE' } | { 'CHANGED' }: another janitor has done it | { 'PENDING' }: the checkpoint is not on enough
--   witnesses | a refusal of enter

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
local log, asks, transactions, conflicts, bindings, fates, moments =
  takeLog(), takeKey(), takeKey(), takeKey(), takeKey(), takeKey(), takeKey()
local to = tonumber(take())
if to ~= ledger.covered or ledger.trimmed == ledger.covered then return { 'CHANGED' } end
if redis.call('ZSCORE', log.pending, ledger.checkpoint) then return { 'PENDING' } end

-- Totals are computed before anything is written. In a lifetime counter the amount stays in the total.
local holders, rests = {}, {}
for index = 1, tonumber(take()) do
  local holder = takeHolder()
  lookUp(holder, to, transactions, asks)
  holders[index] = holder
  for _, counter in ipairs(holder.isForgotten and holder.counters or {}) do
    local amount = redis.call('HGET', counter.held, holder.key)
    if amount and counter.window ~= 'lifetime' then
      local total = rests[counter.held] or natural(redis.call('HGET', counter.held, TOTAL))
      rests[counter.held] = difference(total, natural(amount))
    end
  end
end

-- The first write: a user that is not allowed this one yet fails before anything was written.
redis.call('XTRIM', log.journal, 'MINID', whole(to + 1) .. '-0')
for _, holder in ipairs(holders) do
  if holder.isForgotten then
    for _, counter in ipairs(holder.counters) do
      redis.call('HDEL', counter.held, holder.key)
      if counter.times then redis.call('ZREM', counter.times, holder.key) end
    end
    if holder.known then redis.call('HDEL', transactions, holder.key) end
  end
end
for held, rest in pairs(rests) do
  if redis.call('HLEN', held) == 1 then
    redis.call('DEL', held)
  else
    redis.call('HSET', held, TOTAL, decimal(rest))
  end
end

for _ = 1, tonumber(take()) do
  local members = takeKey()
  for _ = 1, tonumber(take()) do
    local member, at = take(), tonumber(take())
    local latest = redis.call('ZSCORE', members, member)
    if latest and tonumber(latest) <= at then redis.call('ZREM', members, member) end
  end
end

local function forget(records, numberOf)
  for _ = 1, tonumber(take()) do
    local key = take()
    local record = redis.call('HGET', records, key)
    if record and tonumber(numberOf(record)) <= to then redis.call('HDEL', records, key) end
  end
end
forget(asks, sequenceOf)
forget(conflicts, sequenceOf)
for _, records in ipairs({ bindings, fates, moments }) do
  forget(records, function(record) return string.match(record, '^%d+') end)
end

redis.call('HSET', ledger.meta, 'trimmed', whole(to))
return { 'DONE' }
