-- The one atomic step: decide once, check and charge every limit, record, append to the journal.
-- There is no rollback in a script: all checks come first, then the writes, and those cannot fail.
--
-- KEYS  meta, journal, pending, asks, conflicts, transactions, bindings, facts, moments, then the keys of each charge
-- ARGV  the caller (see enter), then see commit.ts: the order they are taken in here
-- Returns { code, ... }, all text:
--   DECIDED now repeated decision event (used near exceeded)...   the decision that stands; unless repeated, the use of
--                                                           every charge, or of those in shadow if it is no approval;
--                                                           empty text where a charge does not apply
--   CONFLICT now repeated decision event                    a rejection of this content only
--   RETRY now reason charge                                 nothing recorded; number of the full charge, or 0
--   STALE now | WINDOW_MOVED now                            nothing recorded; evaluate again
--   TRIM_AGAIN                                              expired entries were dropped and some are left
--   EXPIRING                                                what it would be decided by is being forgotten: ask again
--   CLOCK_SKEW now, or a refusal of enter
-- `event`: what witnesses must have before the decision is answered; empty text when nothing is missing there.

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
local log = takeLog()
local asks, conflicts, transactions, bindings, factValues = takeKey(), takeKey(), takeKey(), takeKey(), takeKey()
local moments = takeKey()
local now = whole(ledger.now)

local skew, tolerance = math.abs(ledger.now - tonumber(take())), tonumber(take())
local identity, epoch, policy, freezes = take(), take(), take(), take()
-- First, because a proposal that has waited for a recovery tells the time at which it was made.
if identity ~= ledger.identity or epoch ~= ledger.epoch or policy ~= ledger.policy or freezes ~= ledger.freezes then
  return { 'STALE', now }
end
if skew > tolerance then return { 'CLOCK_SKEW', now } end

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
  RELEASED_BEFORE = take(),
}

local function decisionJson(effect, reason, sentenceJson, more)
  return '{"effect":"' .. effect .. '","reason":"' .. reason .. '","sentence":' .. sentenceJson .. more
    .. ',"sequence":' .. whole(ledger.sequence + 1) .. ',"decidedAtMs":' .. now
    .. ',"policyVersion":' .. policyVersionJson .. '}'
end

local function eventJson(decision, more)
  return '{"ask":' .. askJson .. ',"decision":' .. decision .. more .. ',"journal":' .. journalJson .. '}'
end

local function pendingDecision(decision)
  return pendingText(ledger, log, sequenceOf(decision))
end

-- The same variant gets the same answer again, even if what it contradicted was lost with a server, unanswered.
local variant = fingerprint .. ' ' .. askKey
local contradicted = redis.call('HGET', conflicts, variant)
if contradicted and isExpiring(ledger, sequenceOf(contradicted)) then return { 'EXPIRING' } end
if contradicted then return { 'CONFLICT', now, '1', contradicted, pendingDecision(contradicted) } end

-- The ask and the transaction stay untouched by it.
local function conflict(reason)
  local decision = decisionJson('reject', reason, sentences[reason], '')
  local _, event = append(ledger, log, 'conflict', eventJson(decision, ''))
  keepClock(ledger)
  redis.call('HSET', conflicts, variant, decision)
  return { 'CONFLICT', now, '0', decision, event }
end

if requestKey then
  local sequence, bound = string.match(redis.call('HGET', bindings, requestKey) or '', '^(%d+) (.*)$')
  if bound and isExpiring(ledger, sequence) then return { 'EXPIRING' } end
  if bound and bound ~= txId then return conflict('CONFLICT_BINDING') end
end

local transaction = moneyKey and transactionOf(transactions, moneyKey) or newTransaction(core)
local isReleased = transaction.released ~= '-'
if transaction.events ~= '' and isExpiring(ledger, lastEvent(transaction)) then return { 'EXPIRING' } end

local standing = redis.call('HGET', asks, askKey)
if standing then
  local known, effect, decision = string.match(standing, '^(%S+) (%S+) (.*)$')
  if isExpiring(ledger, sequenceOf(decision)) then return { 'EXPIRING' } end
  if known ~= fingerprint then return conflict('CONFLICT_CONTENT') end
  -- The approval stands in the log, and nobody may act on it any more.
  if effect == 'approve' and isReleased then return conflict('RELEASED_BEFORE') end
  if effect == 'approve' and frozen then return { 'RETRY', now, 'FREEZE_RETRIES', '0' } end
  return { 'DECIDED', now, '1', decision, pendingDecision(decision) }
end

if transaction.core ~= core then return conflict('CONFLICT_TRANSACTION') end
if transaction.rejected == '-' and not isReleased and transaction.amount ~= '-' and amount ~= '-'
  and compare(natural(amount), natural(transaction.amount)) > 0 then
  return conflict('CONFLICT_AMOUNT')
end

local function rejection(reason, sentenceJson, ruleJson)
  return { effect = 'reject', reason = reason, sentenceJson = sentenceJson, ruleJson = ruleJson }
end

local verdict = opinion
if isReleased then
  verdict = rejection('RELEASED_BEFORE', sentences.RELEASED_BEFORE, '')
elseif core ~= '-' and transaction.rejected ~= '-' then
  verdict = rejection('REJECTED_BEFORE', sentences.REJECTED_BEFORE, '')
end
if verdict.effect == 'retry' then return { 'RETRY', now, opinion.reason, '0' } end

-- From here on a decision is recorded, unless a window has moved or a full limit says to ask again. Limits in shadow
-- are counted by whatever it is; the others by an approval only. What was released is counted no more.

local charges = {}
for _ = 1, tonumber(take()) do
  local start, finish = take(), take()
  local counter = takeCounter()
  counter.mode, counter.max, counter.near, counter.whenFull = take(), natural(take()), natural(take()), take()
  counter.sentenceJson, counter.limitJson, counter.chargeJson = take(), take(), take()
  takeParts(counter)
  if verdict.effect == 'approve' or (counter.mode == 'shadow' and not isReleased) then
    if start ~= '' and (ledger.now < tonumber(start) or ledger.now >= tonumber(finish)) then
      return { 'WINDOW_MOVED', now }
    end
    counter.number = #charges + 1
    charges[counter.number] = counter
    counter.applies = not counter.parts or needOfNew(counter, ledger, moments)
  end
end

local facts, factsJson = {}, take()
for _ = 1, tonumber(take()) do
  local fact = { key = take(), value = take(), reason = take(), sentenceJson = take() }
  local known = facts[fact.key] or redis.call('HGET', factValues, fact.key)
  if verdict.effect == 'approve' and known and known ~= fact.value then
    verdict = rejection(fact.reason, fact.sentenceJson, opinion.ruleJson)
  end
  facts[fact.key] = fact.value
end

local whenEarly = takeOptional()
if whenEarly then
  local period, sentenceJson, isEarly = tonumber(take()), take(), false
  for _ = 1, tonumber(take()) do
    local since = momentOf(moments, ledger, take())
    isEarly = isEarly or (since and isYoung(since, period, ledger.now))
  end
  if isEarly and verdict.effect == 'approve' then
    if whenEarly == 'retry' then return { 'RETRY', now, 'COOLING_OFF_RETRIES', '0' } end
    verdict = rejection('COOLING_OFF', sentenceJson, opinion.ruleJson)
  end
end

-- Some begin with each approval anew, others with the first one that is remembered.
local sinces, sincesJson = {}, {}
for index = 1, tonumber(take()) do
  local keeps, key, keyJson = take(), take(), take()
  local since = keeps == 'first' and momentOf(moments, ledger, key) or ledger.now
  sinces[index] = { key = key, since = since }
  sincesJson[index] = keyJson .. ':' .. whole(since)
end

-- A total that still holds expired entries must not refuse, so they are dropped first.
local budget, entriesLeft = TRIM_ENTRIES, false
for _, counter in ipairs(charges) do
  local before, left = budget, false
  if counter.applies then budget, left = trim(counter, ledger.now, budget) end
  entriesLeft = entriesLeft or left
  -- What was dropped at this instant must never be looked for at an earlier one.
  if budget < before then keepClock(ledger) end
end
if entriesLeft then return { 'TRIM_AGAIN' } end

-- Without a transaction the ask itself is what is counted.
local holder = moneyKey or askKey
local shadowFits = true
for _, counter in ipairs(charges) do
  if counter.applies then measure(counter, holder) end
  counter.fits = not counter.applies or compare(counter.after, counter.max) <= 0
  if counter.mode == 'shadow' then
    shadowFits = shadowFits and counter.fits
  elseif verdict.effect == 'approve' and not counter.fits then
    if counter.whenFull == 'retry' and compare(counter.need, counter.max) <= 0 then
      return { 'RETRY', now, 'LIMIT_FULL_RETRY', whole(counter.number) }
    end
    verdict = rejection('LIMIT_EXCEEDED', counter.sentenceJson, opinion.ruleJson .. counter.limitJson)
  end
end

-- Nothing returns any more: what is left is to say what happens, and then to write it.

local charged, exceeded, use = {}, {}, {}
for _, counter in ipairs(charges) do
  local isShadow = counter.mode == 'shadow'
  if (isShadow or verdict.effect == 'approve') and not counter.applies then
    for _ = 1, 3 do
      use[#use + 1] = ''
    end
  elseif isShadow or verdict.effect == 'approve' then
    counter.charged = not isShadow or shadowFits
    local used = counter.charged and counter.after or difference(counter.after, counter.added)
    use[#use + 1] = decimal(used)
    use[#use + 1] = compare(used, counter.near) >= 0 and '1' or '0'
    use[#use + 1] = counter.fits and '0' or '1'
    local json = counter.chargeJson .. ',"added":"' .. decimal(counter.added)
      .. '","total":"' .. decimal(counter.after) .. '"}'
    if counter.charged then charged[#charged + 1] = json end
    if not counter.fits then exceeded[#exceeded + 1] = json end
  end
end

local approves = verdict.effect == 'approve'
local decision = decisionJson(verdict.effect, verdict.reason, verdict.sentenceJson, verdict.ruleJson)
local sequence, event = append(ledger, log, 'decision', eventJson(decision, ',"charged":[' .. table.concat(charged, ',') .. ']'
  .. (#exceeded > 0 and ',"exceeded":[' .. table.concat(exceeded, ',') .. ']' or '')
  .. (approves and factsJson or '')
  .. (approves and #sinces > 0 and ',"moments":{' .. table.concat(sincesJson, ',') .. '}' or '')))
keepClock(ledger)
redis.call('HSET', asks, askKey, fingerprint .. ' ' .. verdict.effect .. ' ' .. decision)
if requestKey then redis.call('HSET', bindings, requestKey, sequence .. ' ' .. txId) end
if moneyKey then
  decideTransaction(transactions, moneyKey, transaction,
    { effect = verdict.effect, amount = amount, sequence = sequence })
end
for _, counter in ipairs(charges) do
  if counter.charged then charge(counter, holder, ledger.now) end
end
if approves then
  for key, value in pairs(facts) do
    redis.call('HSET', factValues, key, value)
  end
  for _, moment in ipairs(sinces) do
    keepMoment(moments, moment.key, moment.since, sequence)
  end
end
local reply = { 'DECIDED', now, '0', decision, event }
for _, text in ipairs(use) do
  reply[#reply + 1] = text
end
return reply
