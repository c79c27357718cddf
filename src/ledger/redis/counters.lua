-- Counters. Two keys each:
--   held     hash: money key -> amount it holds; under the empty field, which no money key is, the total of all, in
--            lifetime counters with what forgotten transactions held
--   times    sorted set: money key -> ms at which it was last approved (rolling windows only)
-- and for limits that count different members:
--   members  sorted set: member -> ms at which it was last approved

local TOTAL = ''
local ZERO = { 0 }

-- Entries one script call may drop; a log that has more is dropped step by step, call by call.
local TRIM_ENTRIES = 500

-- Drops entries that are certainly older than the window. Returns how many of the budget are left, and whether
-- expired entries are left too. The total is computed before anything is written.
local function trim(counter, now, budget)
  if counter.window ~= 'rolling' then return budget, false end
  local log = counter.members or counter.times
  local before = '(' .. whole(now - counter.length)
  local expired = redis.call('ZRANGEBYSCORE', log, '-inf', before, 'LIMIT', '0', whole(budget))
  if #expired > 0 then
    if counter.times then
      local total = natural(redis.call('HGET', counter.held, TOTAL))
      for _, amount in ipairs(redis.call('HMGET', counter.held, unpack(expired))) do
        total = difference(total, natural(amount))
      end
      redis.call('HDEL', counter.held, unpack(expired))
      redis.call('HSET', counter.held, TOTAL, decimal(total))
    end
    redis.call('ZREM', log, unpack(expired))
    if counter.times and redis.call('EXISTS', log) == 0 then redis.call('DEL', counter.held) end
  end
  if #expired < budget then return budget - #expired, false end
  return 0, redis.call('ZCOUNT', log, '-inf', before) > 0
end

-- What a charge would add, and the total after it.
local function measure(counter, moneyKey)
  if counter.members then
    local fresh = 0
    if #counter.names > 0 then
      for _, score in ipairs(redis.call('ZMSCORE', counter.members, unpack(counter.names))) do
        if not score then fresh = fresh + 1 end
      end
    end
    counter.added = { fresh }
    counter.after = { redis.call('ZCARD', counter.members) + fresh }
    counter.need = { #counter.names }
    return
  end
  local known = redis.call('HMGET', counter.held, moneyKey, TOTAL)
  local held = natural(known[1] or '0')
  counter.raised = compare(counter.need, held) > 0
  counter.added = counter.raised and difference(counter.need, held) or ZERO
  counter.after = sum(natural(known[2] or '0'), counter.added)
end

-- Every approval moves its entry to now, raised or not: what was approved a moment ago is inside the window whole.
-- A need of zero makes no entry.
local function charge(counter, moneyKey, now)
  if counter.members then
    for _, name in ipairs(counter.names) do
      redis.call('ZADD', counter.members, 'GT', whole(now), name)
    end
  elseif counter.raised then
    redis.call('HSET', counter.held, moneyKey, decimal(counter.need), TOTAL, decimal(counter.after))
    if counter.times then redis.call('ZADD', counter.times, 'GT', whole(now), moneyKey) end
  elseif counter.times then
    redis.call('ZADD', counter.times, 'XX', 'GT', whole(now), moneyKey)
  end
end

-- What a money key holds in a counter of amounts, and what would be left without it.
local function holding(counter, moneyKey)
  local known = redis.call('HMGET', counter.held, moneyKey, TOTAL)
  counter.amount = natural(known[1] or '0')
  counter.rest = difference(natural(known[2] or '0'), counter.amount)
  counter.isHeld = known[1] and true or false
end

-- Takes that entry away, as if it had never been charged.
local function giveBack(counter, moneyKey)
  if not counter.isHeld then return end
  redis.call('HDEL', counter.held, moneyKey)
  redis.call('HSET', counter.held, TOTAL, decimal(counter.rest))
  if counter.times then redis.call('ZREM', counter.times, moneyKey) end
  -- A lifetime counter's total holds more than its entries: what forgotten transactions held.
  if redis.call('HLEN', counter.held) == 1 and compare(counter.rest, ZERO) == 0 then redis.call('DEL', counter.held) end
end

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

-- Entries that a limit is filled with from the journal, by the event of this number; see fill.lua.
local function fill(transactions, sequence, entries)
  for _ = 1, entries do
    local counter = takeCounter()
    local moneyKey, at = take(), tonumber(take())
    fillTransaction(transactions, moneyKey, sequence)
    if counter.members then
      charge(counter, moneyKey, at)
    else
      fillAmount(counter, moneyKey, at)
    end
  end
end
