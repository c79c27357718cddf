-- The one atomic step: decide once, check and charge every limit, record, append to the journal.
-- There is no rollback in a script: all checks come first, then the writes, and those cannot fail.
--
-- KEYS  meta, journal, asks, conflicts, transactions, bindings, facts, then the keys of each charge
-- ARGV  see commit.ts, which writes them in the order they are taken here
-- Returns { code, ... }, all text:
--   DECIDED now repeated decision (used near exceeded)...   the decision that stands; use per charge unless repeated
--   CONFLICT now repeated decision                          a rejection of this content only
--   RETRY now reason charge                                 nothing recorded; number of the full charge, or 0
--   STALE now | WINDOW_MOVED now                            nothing recorded; evaluate again
--   TRIM_AGAIN                                              expired entries were dropped and some are left
--   MISSING | CORRUPT detail | CLOCK_SKEW now

local ledger, refusal = open(takeKey())
if refusal then return refusal end
local journal, asks, conflicts, transactions, bindings, factValues =
  takeKey(), takeKey(), takeKey(), takeKey(), takeKey(), takeKey()
local now = whole(ledger.now)

if math.abs(ledger.now - tonumber(take())) > tonumber(take()) then return { 'CLOCK_SKEW', now } end
local policy, freezes = take(), take()
if policy ~= ledger.policy or freezes ~= ledger.freezes then return { 'STALE', now } end

local askKey, fingerprint, askJson = take(), take(), take()
local requestKey, txId = takeOptional(), take()
local moneyKey, core, amount = takeOptional(), take(), take()
local journalJson, policyVersionJson = take(), take()
local frozen = take() == '1'
local opinion = { effect = take(), reason = take(), sentenceJson = take(), ruleJson = take() }
local sentences = {
  CONFLICT_BINDING = take(),
  CONFLICT_CONTENT = take(),
  CONFLICT_TRANSACTION = take(),
  CONFLICT_AMOUNT = take(),
  REJECTED_BEFORE = take(),
}

local function decisionJson(effect, reason, sentenceJson, more)
  return '{"effect":"' .. effect .. '","reason":"' .. reason .. '","sentence":' .. sentenceJson .. (more or '')
    .. ',"sequence":' .. whole(ledger.sequence + 1) .. ',"decidedAtMs":' .. now
    .. ',"policyVersion":' .. policyVersionJson .. '}'
end

local function eventJson(decision, more)
  return '{"ask":' .. askJson .. ',"decision":' .. decision .. more .. ',"journal":' .. journalJson .. '}'
end

-- The same variant gets the same answer again; the ask and the transaction stay untouched by it.
local function conflict(reason)
  local variant = fingerprint .. ' ' .. askKey
  local known = redis.call('HGET', conflicts, variant)
  if known then return { 'CONFLICT', now, '1', known } end
  local decision = decisionJson('reject', reason, sentences[reason])
  append(ledger, journal, 'conflict', eventJson(decision, ''))
  keepClock(ledger)
  redis.call('HSET', conflicts, variant, decision)
  return { 'CONFLICT', now, '0', decision }
end

if requestKey then
  local bound = redis.call('HGET', bindings, requestKey)
  if bound and bound ~= txId then return conflict('CONFLICT_BINDING') end
end

local standing = redis.call('HGET', asks, askKey)
if standing then
  local known, effect, decision = string.match(standing, '^(%S+) (%S+) (.*)$')
  if known ~= fingerprint then return conflict('CONFLICT_CONTENT') end
  if effect == 'approve' and frozen then return { 'RETRY', now, 'FREEZE_RETRIES', '0' } end
  return { 'DECIDED', now, '1', decision }
end

-- What is known of the transaction: core fingerprint, approved or -, rejected or -, the approved amount or -.
local transaction = { core = core, approved = '-', rejected = '-', amount = '-' }
local record = moneyKey and redis.call('HGET', transactions, moneyKey)
if record then
  transaction.core, transaction.approved, transaction.rejected, transaction.amount =
    string.match(record, '^(%S+) (%S+) (%S+) (%S+)$')
end

local function decide(effect, reason, sentenceJson, more, eventMore)
  local decision = decisionJson(effect, reason, sentenceJson, more)
  append(ledger, journal, 'decision', eventJson(decision, eventMore or ''))
  keepClock(ledger)
  redis.call('HSET', asks, askKey, fingerprint .. ' ' .. effect .. ' ' .. decision)
  if requestKey then redis.call('HSET', bindings, requestKey, txId) end
  if moneyKey then
    if effect == 'reject' then transaction.rejected = 'rejected' end
    if effect == 'approve' then
      transaction.approved = 'approved'
      if transaction.amount == '-' then transaction.amount = amount end
    end
    redis.call('HSET', transactions, moneyKey, transaction.core .. ' ' .. transaction.approved .. ' '
      .. transaction.rejected .. ' ' .. transaction.amount)
  end
  return { 'DECIDED', now, '0', decision }
end

if record then
  if transaction.core ~= core then return conflict('CONFLICT_TRANSACTION') end
  if transaction.rejected ~= '-' then
    return decide('reject', 'REJECTED_BEFORE', sentences.REJECTED_BEFORE)
  end
  if transaction.amount ~= '-' and amount ~= '-' and compare(natural(amount), natural(transaction.amount)) > 0 then
    return conflict('CONFLICT_AMOUNT')
  end
end

if opinion.effect == 'retry' then return { 'RETRY', now, opinion.reason, '0' } end
if opinion.effect ~= 'approve' then
  return decide(opinion.effect, opinion.reason, opinion.sentenceJson, opinion.ruleJson)
end

-- From here on the opinion is to approve.

local charges = {}
for index = 1, tonumber(take()) do
  local start, finish = take(), take()
  if start ~= '' and (ledger.now < tonumber(start) or ledger.now >= tonumber(finish)) then
    return { 'WINDOW_MOVED', now }
  end
  local counter = takeCounter()
  counter.mode, counter.max, counter.near, counter.whenFull = take(), natural(take()), natural(take()), take()
  counter.sentenceJson, counter.limitJson, counter.chargeJson = take(), take(), take()
  charges[index] = counter
end

local facts, factsJson = {}, take()
for index = 1, tonumber(take()) do
  local fact = { key = take(), value = take(), reason = take(), sentenceJson = take() }
  local known = facts[fact.key] or redis.call('HGET', factValues, fact.key)
  if known and known ~= fact.value then
    return decide('reject', fact.reason, fact.sentenceJson, opinion.ruleJson)
  end
  facts[fact.key] = fact.value
end

-- A total that still holds expired entries must not refuse, so they are dropped first.
local budget, entriesLeft = TRIM_ENTRIES, false
for _, counter in ipairs(charges) do
  local before, left = budget, false
  budget, left = trim(counter, ledger.now, budget)
  entriesLeft = entriesLeft or left
  -- What was dropped at this instant must never be looked for at an earlier one.
  if budget < before then keepClock(ledger) end
end
if entriesLeft then return { 'TRIM_AGAIN' } end

-- Without a transaction the ask itself is what is counted.
local holder = moneyKey or askKey
local shadowFits = true
for index, counter in ipairs(charges) do
  measure(counter, holder)
  counter.fits = compare(counter.after, counter.max) <= 0
  if not counter.fits then
    if counter.mode == 'shadow' then
      shadowFits = false
    elseif counter.whenFull == 'retry' and compare(counter.need, counter.max) <= 0 then
      return { 'RETRY', now, 'LIMIT_FULL_RETRY', whole(index) }
    else
      return decide('reject', 'LIMIT_EXCEEDED', counter.sentenceJson, opinion.ruleJson .. counter.limitJson)
    end
  end
end

local charged, use = {}, {}
for _, counter in ipairs(charges) do
  counter.charged = counter.mode == 'enforce' or shadowFits
  local used = counter.charged and counter.after or difference(counter.after, counter.added)
  use[#use + 1] = decimal(used)
  use[#use + 1] = compare(used, counter.near) >= 0 and '1' or '0'
  use[#use + 1] = counter.mode == 'shadow' and not counter.fits and '1' or '0'
  if counter.charged then
    charged[#charged + 1] = counter.chargeJson .. ',"added":"' .. decimal(counter.added)
      .. '","total":"' .. decimal(used) .. '"}'
  end
end

local reply = decide('approve', opinion.reason, opinion.sentenceJson, opinion.ruleJson,
  ',"charged":[' .. table.concat(charged, ',') .. ']' .. factsJson)
for _, counter in ipairs(charges) do
  if counter.charged then charge(counter, holder, ledger.now) end
end
for key, value in pairs(facts) do
  redis.call('HSET', factValues, key, value)
end
for _, text in ipairs(use) do
  reply[#reply + 1] = text
end
return reply
