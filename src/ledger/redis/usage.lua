-- How full counters are at this instant, for people. Writes nothing, so expired entries are subtracted here; beyond
-- READ_ENTRIES of them the rest is still counted in, until the next approval drops it.
--
-- KEYS  meta, then for each counter: held, times, members
-- ARGV  epoch, witnessed, number of counters, then for each: lengthMs of a rolling window, or empty text
-- Returns { 'USAGE', used... } | MISSING | CORRUPT detail | EPOCH epoch

local READ_ENTRIES = 20000
local PAGE_ENTRIES = 500

local ledger, refusal = open(takeKey())
if refusal then return refusal end

local function expiredTotal(held, times, before)
  local total = ZERO
  for offset = 0, READ_ENTRIES - 1, PAGE_ENTRIES do
    local page = redis.call('ZRANGEBYSCORE', times, '-inf', before, 'LIMIT', whole(offset), whole(PAGE_ENTRIES))
    if #page == 0 then break end
    for _, amount in ipairs(redis.call('HMGET', held, unpack(page))) do
      total = sum(total, natural(amount))
    end
  end
  return total
end

local reply = { 'USAGE' }
for _ = 1, tonumber(take()) do
  local held, times, members, length = takeKey(), takeKey(), takeKey(), takeOptional()
  local used = natural(redis.call('HGET', held, TOTAL) or '0')
  local different = redis.call('ZCARD', members)
  if length then
    local before = '(' .. whole(ledger.now - tonumber(length))
    used = difference(used, expiredTotal(held, times, before))
    different = different - redis.call('ZCOUNT', members, '-inf', before)
  end
  -- A counter counts amounts or members, never both: one of the two is zero.
  reply[#reply + 1] = decimal(sum(used, { different }))
end
return reply
