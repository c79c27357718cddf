-- What every script begins with: the ledger's identity, its versions, its clock and its log.

-- The layout of records this version reads and writes.
local FORMAT = '1'

local function whole(number)
  return string.format('%.0f', number)
end

-- Returns the ledger, or nil and the reply that refuses. The clock never steps back behind the stored mark.
local function open(meta)
  local fields = redis.call('HMGET', meta, 'identity', 'format', 'sequence', 'clock', 'policy', 'freezes')
  if not fields[1] then return nil, { 'MISSING' } end
  if fields[2] ~= FORMAT then return nil, { 'CORRUPT', 'its format is ' .. tostring(fields[2]) } end
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local mark = tonumber(fields[4])
  return {
    meta = meta,
    identity = fields[1],
    sequence = tonumber(fields[3]),
    mark = mark,
    now = math.max(now, mark),
    policy = fields[5],
    freezes = fields[6],
  }
end

-- Only a clock that agreed with a replica's may raise the mark: one jump ahead would stop the ledger until then.
local function keepClock(ledger)
  if ledger.now > ledger.mark then
    redis.call('HSET', ledger.meta, 'clock', whole(ledger.now))
    ledger.mark = ledger.now
  end
end

-- The first write of a script: the stream refuses a sequence number that is not above its last one, and then
-- nothing has been written yet. `ledger.sequence + 1` is the number the event gets.
local function append(ledger, journal, kind, body)
  local sequence = whole(ledger.sequence + 1)
  redis.call('XADD', journal, sequence .. '-0', 'type', kind, 'at', whole(ledger.now), 'body', body)
  redis.call('HSET', ledger.meta, 'sequence', sequence)
  ledger.sequence = ledger.sequence + 1
  return sequence
end
