-- Exact arithmetic on non-negative integers of any length. Lua's numbers are doubles, exact to 9.007e15, and cjson
-- keeps 14 digits: neither can count wei. A natural is a table of limbs in base 10^14, least significant first, so
-- that two limbs and a carry always add without loss. Outside it is canonical decimal text.

local LIMB_DIGITS = 14
local LIMB = 1e14

local function natural(text)
  local limbs = {}
  for last = #text, 1, -LIMB_DIGITS do
    limbs[#limbs + 1] = tonumber(string.sub(text, math.max(1, last - LIMB_DIGITS + 1), last))
  end
  return limbs
end

local function decimal(limbs)
  local parts = { string.format('%.0f', limbs[#limbs]) }
  for index = #limbs - 1, 1, -1 do
    parts[#parts + 1] = string.format('%014.0f', limbs[index])
  end
  return table.concat(parts)
end

-- Below zero, zero or above zero, as a is below, equal to or above b.
local function compare(a, b)
  if #a ~= #b then return #a - #b end
  for index = #a, 1, -1 do
    if a[index] ~= b[index] then return a[index] - b[index] end
  end
  return 0
end

local function sum(a, b)
  local limbs, carry = {}, 0
  for index = 1, math.max(#a, #b) do
    local limb = (a[index] or 0) + (b[index] or 0) + carry
    carry = limb >= LIMB and 1 or 0
    limbs[index] = limb - carry * LIMB
  end
  if carry > 0 then limbs[#limbs + 1] = carry end
  return limbs
end

-- a - b; a script that would go below zero stops before it has written anything.
local function difference(a, b)
  local limbs, borrow = {}, 0
  for index = 1, math.max(#a, #b) do
    local limb = (a[index] or 0) - (b[index] or 0) - borrow
    borrow = limb < 0 and 1 or 0
    limbs[index] = limb + borrow * LIMB
  end
  if borrow > 0 then error('a counter holds less than its entries') end
  while #limbs > 1 and limbs[#limbs] == 0 do
    limbs[#limbs] = nil
  end
  return limbs
end
