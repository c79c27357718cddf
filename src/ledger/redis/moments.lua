-- Since when something holds, by the ledger's clock: a whitelisting, a destination's first payment. A record under its key:
--   the number of the last event that says so, since (ms)
-- It is forgotten with that event, so that nothing is kept of what nobody has asked about for the whole retention.

-- Nil when nothing is known of it, or only by what is being forgotten.
local function momentOf(moments, ledger, key)
  local sequence, since = string.match(redis.call('HGET', moments, key) or '', '^(%d+) (%d+)$')
  if sequence and not isExpiring(ledger, sequence) then return tonumber(since) end
end

local function keepMoment(moments, key, since, sequence)
  redis.call('HSET', moments, key, sequence .. ' ' .. whole(since))
end

-- A period is over as soon as it has passed whole.
local function isYoung(since, period, now)
  return since + period > now
end

-- A charge for new destinations only: for how long (ms) they are new, or empty text; 'sum' or 'largest'; and each
-- destination with what it needs, an amount or its name.
local function takeParts(counter)
  local period = takeOptional()
  if not period then return end
  counter.period, counter.combine, counter.parts = tonumber(period), take(), {}
  for index = 1, tonumber(take()) do
    counter.parts[index] = { moment = take(), need = take() }
  end
end

-- Makes the charge what the new ones among its destinations need. Returns whether they need anything.
local function needOfNew(counter, ledger, moments)
  local need, names = ZERO, {}
  for _, part in ipairs(counter.parts) do
    local since = momentOf(moments, ledger, part.moment)
    if not since or isYoung(since, counter.period, ledger.now) then
      if counter.names then
        names[#names + 1] = part.need
      elseif counter.combine == 'sum' then
        need = sum(need, natural(part.need))
      elseif compare(natural(part.need), need) > 0 then
        need = natural(part.need)
      end
    end
  end
  if counter.names then
    counter.names = names
    counter.chargeJson = counter.chargeJson .. ',"members":' .. cjson.encode(names)
    return #names > 0
  end
  counter.need = need
  counter.chargeJson = counter.chargeJson .. ',"need":"' .. decimal(need) .. '"'
  return compare(need, ZERO) > 0
end
