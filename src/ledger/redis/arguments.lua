-- KEYS and ARGV in order. Absent keys are empty text; absent hashes and amounts are '-'.

local taken, keysTaken = 0, 0

local function take()
  taken = taken + 1
  return ARGV[taken]
end

local function takeKey()
  keysTaken = keysTaken + 1
  return KEYS[keysTaken]
end

local function takeOptional()
  local text = take()
  if text ~= '' then return text end
end

-- A counter's keys; its window: rolling <lengthMs> | calendar | lifetime; its need: amount <decimal> |
-- distinct <n> <member>...
local function takeCounter()
  local counter = { window = take() }
  if counter.window == 'rolling' then counter.length = tonumber(take()) end
  if take() == 'distinct' then
    counter.members = takeKey()
    counter.names = {}
    for index = 1, tonumber(take()) do
      counter.names[index] = take()
    end
  else
    counter.held = takeKey()
    if counter.window == 'rolling' then counter.times = takeKey() end
    counter.need = natural(take())
  end
  return counter
end
