-- Adds entries to counters that no active policy charges yet. An entry never lowers what a money key holds, except
-- that one certainly outside the window of the other gives way to the later one, as it would have by being charged.
--
-- KEYS  meta, then the keys of each entry's counter
-- ARGV  number of entries, then for each: the counter and its need, money key, at (ms)
-- Returns { 'FILLED' } | { 'MISSING' } | { 'CORRUPT', detail }

local ledger, refusal = open(takeKey())
if refusal then return refusal end

local function fillAmount(counter, moneyKey, at)
  local known = redis.call('HMGET', counter.held, moneyKey, TOTAL)
  local held, total = natural(known[1] or '0'), natural(known[2] or '0')
  if known[1] and counter.times then
    local latest = tonumber(redis.call('ZSCORE', counter.times, moneyKey))
    if latest - at > counter.length then return end
    if at - latest > counter.length then
      total = difference(total, held)
      redis.call('HSET', counter.held, moneyKey, decimal(counter.need), TOTAL, decimal(sum(total, counter.need)))
      redis.call('ZADD', counter.times, whole(at), moneyKey)
      return
    end
  end
  counter.raised = compare(counter.need, held) > 0
  if counter.raised then counter.after = sum(total, difference(counter.need, held)) end
  charge(counter, moneyKey, at)
end

for _ = 1, tonumber(take()) do
  local counter = takeCounter()
  local moneyKey, at = take(), tonumber(take())
  if counter.members then
    charge(counter, moneyKey, at)
  else
    fillAmount(counter, moneyKey, at)
  end
end
return { 'FILLED' }
