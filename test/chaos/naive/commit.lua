-- The control's only step: decide once, count every limit, record. All of it is right on one Redis that never fails;
-- nothing in it asks whether this Redis still knows what it has said.
--
-- KEYS  asks, journal, then two for each limit: amounts and times by transaction
-- ARGV  ask key, content, transaction, ask as JSON, then for each limit: need, max, window in ms or 0
-- Returns the standing or new decision: APPROVE or REJECT

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function record(action)
  redis.call('XADD', KEYS[2], '*', 'ask', ARGV[4], 'action', action, 'atMs', string.format('%d', now))
  return action
end

local standing = redis.call('HGET', KEYS[1], ARGV[1])
if standing then
  local action, content = string.match(standing, '^(%S+) (%S+)$')
  if content == ARGV[2] then return action end
  -- Other content under the same id.
  if redis.call('HSETNX', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'REJECT') == 1 then record('REJECT') end
  return 'REJECT'
end

local action = 'APPROVE'
local limits = (#ARGV - 4) / 3

for number = 1, limits do
  local amounts, times = KEYS[1 + 2 * number], KEYS[2 + 2 * number]
  local need, max, window = tonumber(ARGV[2 + 3 * number]), tonumber(ARGV[3 + 3 * number]), tonumber(ARGV[4 + 3 * number])
  if window > 0 then
    for _, old in ipairs(redis.call('ZRANGEBYSCORE', times, '-inf', '(' .. now - window)) do
      redis.call('HDEL', amounts, old)
      redis.call('ZREM', times, old)
    end
  end
  local total = 0
  for _, amount in ipairs(redis.call('HVALS', amounts)) do total = total + tonumber(amount) end
  if not redis.call('HGET', amounts, ARGV[3]) then total = total + need end
  if total > max then action = 'REJECT' end
end

if action == 'APPROVE' then
  for number = 1, limits do
    redis.call('HSET', KEYS[1 + 2 * number], ARGV[3], ARGV[2 + 3 * number])
    redis.call('ZADD', KEYS[2 + 2 * number], now, ARGV[3])
  end
end
redis.call('HSET', KEYS[1], ARGV[1], action .. ' ' .. ARGV[2])
return record(action)
