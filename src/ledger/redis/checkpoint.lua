-- Records what has to survive the oldest events, so that they may be forgotten. From here on nothing is decided by what
-- they wrote, until it is forgotten (see isExpiring). The parts that later events may have changed are read here.
--
-- KEYS  meta, journal, pending, asks, transactions, policy, freezes, then the keys of each counter
-- ARGV  the caller, the replica's clock, by how much the clocks may differ, retention (ms), '1' if what is not exported
--       must stay, from, to, when the newest of the events was, the parts of the body that no later event changes (JSON
--       without its end), number of checkpoints whose transactions are among the holders, their numbers, number of totals
--       that earlier checkpoints carry, for each: its JSON up to the amount, and the amount; number of holders, then each
-- Returns { 'DONE', sequence, event } | { 'CHANGED' }: another janitor was here | { 'YOUNG' } | { 'BEHIND' }: not
--   exported yet | { 'PENDING' }: something that it rests on is not on enough witnesses | { 'CARRIED', number... }: these
--   checkpoints speak of the holders too | { 'CLOCK_SKEW', now } | a refusal of enter

local ledger, refusal = enter(takeKey())
if refusal then return refusal end
local log, asks, transactions, policy, freezes = takeLog(), takeKey(), takeKey(), takeKey(), takeKey()

local theirs, tolerance = tonumber(take()), tonumber(take())
if math.abs(ledger.now - theirs) > tolerance then return { 'CLOCK_SKEW', whole(ledger.now) } end
local retention, demandsExport = tonumber(take()), take() == '1'
local from, to, newestAt, body = tonumber(take()), tonumber(take()), tonumber(take()), take()
if from ~= ledger.covered or ledger.trimmed ~= ledger.covered then return { 'CHANGED' } end
local newest = redis.call('XRANGE', log.journal, whole(to) .. '-0', whole(to) .. '-0')[1]
if not newest then return { 'CHANGED' } end
if math.max(newestAt, tonumber(newest[2][4])) + retention >= math.min(ledger.now, theirs) then return { 'YOUNG' } end
if demandsExport then
  local exported = redis.call('HGET', ledger.meta, 'exported')
  if not exported or tonumber(string.match(exported, '^%d+')) < to then return { 'BEHIND' } end
end

local considered, unconsidered = {}, {}
for _ = 1, tonumber(take()) do
  considered[take()] = true
end

-- By the JSON of the counter, in order of appearance.
local totals, names = {}, {}
local function addTotal(json, amount)
  if not totals[json] then
    totals[json], names[#names + 1] = ZERO, json
  end
  totals[json] = sum(totals[json], amount)
end
for _ = 1, tonumber(take()) do
  addTotal(take(), natural(take()))
end

-- The newest event that any of it rests on: when a fail-over can still forget that, nothing may be said of it.
local restsOn = math.max(to, tonumber(ledger.policy), tonumber(ledger.freezes))
local statements, carried = {}, {}
for _ = 1, tonumber(take()) do
  local holder = takeHolder()
  lookUp(holder, to, transactions, asks)
  local known, held = holder.known, {}
  if known and known.carried ~= '-' and not considered[known.carried] then
    unconsidered[#unconsidered + 1] = known.carried
  end
  if not holder.isForgotten and known then
    restsOn = math.max(restsOn, lastEvent(known))
    carried[#carried + 1] = holder
  end
  for index, counter in ipairs(holder.counters) do
    local amount = redis.call('HGET', counter.held, holder.key)
    if holder.isForgotten and amount and counter.window == 'lifetime' then addTotal(counter.json, natural(amount)) end
    local at = counter.times and redis.call('ZSCORE', counter.times, holder.key) or '0'
    held[index] = counter.json .. ',"amount":"' .. (not holder.isForgotten and amount or '0') .. '","atMs":' .. at .. '}'
  end
  if known and (not holder.isForgotten or known.carried ~= '-') then
    statements[#statements + 1] = '{"moneyKey":' .. holder.keyJson
      .. (holder.isForgotten and '' or ',"known":' .. transactionJson(known, to))
      .. ',"held":[' .. table.concat(held, ',') .. ']}'
  end
end
if #unconsidered > 0 then return { 'CARRIED', unpack(unconsidered) } end
local oldest = redis.call('ZRANGE', log.pending, '0', '0')[1]
if oldest and tonumber(oldest) <= restsOn then return { 'PENDING' } end

for index, json in ipairs(names) do
  names[index] = json .. ',"amount":"' .. decimal(totals[json]) .. '"}'
end
local standing = {}
for _, freeze in ipairs(redis.call('HVALS', freezes)) do
  local sequence, text = string.match(freeze, '^(%d+) (.*)$')
  if tonumber(sequence) <= to then
    standing[#standing + 1] = '{"sequence":' .. sequence .. ',"freeze":' .. text .. '}'
  end
end
local active = ''
if ledger.policy ~= '0' and tonumber(ledger.policy) <= to then
  active = ',"policy":{"sequence":' .. ledger.policy .. ',"record":' .. redis.call('GET', policy) .. '}'
end

local sequence, event = append(ledger, log, 'checkpoint', body
  .. ',"versions":{"policy":' .. ledger.policy .. ',"freezes":' .. ledger.freezes .. '}' .. active
  .. ',"freezes":[' .. table.concat(standing, ',') .. '],"totals":[' .. table.concat(names, ',')
  .. '],"transactions":[' .. table.concat(statements, ',') .. ']}')
keepClock(ledger)
redis.call('HSET', ledger.meta, 'checkpoint', sequence, 'covered', whole(to), 'coveredAt', whole(newestAt))
for _, holder in ipairs(carried) do
  carryTransaction(transactions, holder.key, holder.known, to, sequence)
end
return { 'DONE', sequence, event }
