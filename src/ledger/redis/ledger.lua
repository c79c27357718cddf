-- What every script begins with: the ledger's identity, its versions, its clock and its log.

-- The layout of records this version reads and writes.
local FORMAT = '5'

local function whole(number)
  return string.format('%.0f', number)
end

-- For so long a rebuild may make decisions wait; see replace.lua.
local HOLD_MS = 500

-- The server's own, Unix milliseconds.
local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Every script but those of a recovery is given the epoch its keys are of, and whether its caller takes the ledger's
-- decisions to witnesses before it answers: a replica that does not must not decide on a ledger that lives by them.
-- Returns the ledger, or nil and the reply that refuses. The clock never steps back behind the stored mark.
local function open(meta)
  local epoch, witnessed = take(), take()
  local fields = redis.call('HMGET', meta, 'identity', 'format', 'epoch', 'witnessed', 'sequence', 'clock', 'policy',
    'freezes', 'fence', 'synced', 'seen', 'checkpoint', 'covered', 'trimmed', 'held')
  if not fields[1] then return nil, { 'MISSING' } end
  if fields[2] ~= FORMAT then return nil, { 'CORRUPT', 'its format is ' .. tostring(fields[2]) } end
  if fields[4] ~= witnessed then
    return nil, { 'CORRUPT', fields[4] == '1' and 'it is kept by witnesses, and the configuration names none'
      or 'it is not kept by witnesses, and the configuration names some' }
  end
  if fields[3] ~= epoch then return nil, { 'EPOCH', fields[3] } end
  local now, mark, held = clock(), tonumber(fields[6]), tonumber(fields[15] or '0')
  return {
    meta = meta,
    identity = fields[1],
    epoch = epoch,
    witnessed = witnessed == '1',
    sequence = tonumber(fields[5]),
    mark = mark,
    now = math.max(now, mark),
    policy = fields[7],
    freezes = fields[8],
    fence = fields[9],
    synced = fields[10] == '1',
    seen = tonumber(fields[11]),
    -- The newest checkpoint, the last event that it covers, and the last one that was forgotten.
    checkpoint = fields[12] or '0',
    covered = tonumber(fields[13] or '0'),
    trimmed = tonumber(fields[14] or '0'),
    -- A rebuild loads the last events. A clock that is set back makes nobody wait longer.
    isHeld = held > now and held <= now + HOLD_MS,
  }
end

-- Only a clock that agreed with a replica's may raise the mark: one jump ahead would stop the ledger until then.
local function keepClock(ledger)
  if ledger.now > ledger.mark then
    redis.call('HSET', ledger.meta, 'clock', whole(ledger.now))
    ledger.mark = ledger.now
  end
end

-- The keys of the log: its events, and the sequence numbers of those that are not known to be on enough witnesses.
local function takeLog()
  return { journal = takeKey(), pending = takeKey() }
end

-- The identity of the ledger, and an event of it as witnesses keep it.
local function eventText(ledger, kind, at, body)
  return ledger.identity .. ' ' .. kind .. ' ' .. at .. ' ' .. body
end

-- The first write of a script: the stream refuses a sequence number that is not above its last one, and then
-- nothing has been written yet. `ledger.sequence + 1` is the number the event gets. Returns it, and the text that
-- witnesses must have before the event may be relied upon, or empty text.
local function append(ledger, log, kind, body)
  local sequence, at = whole(ledger.sequence + 1), whole(ledger.now)
  redis.call('XADD', log.journal, sequence .. '-0', 'type', kind, 'at', at, 'body', body)
  redis.call('HSET', ledger.meta, 'sequence', sequence)
  ledger.sequence = ledger.sequence + 1
  if not ledger.witnessed then return sequence, '' end
  redis.call('ZADD', log.pending, sequence, sequence)
  return sequence, eventText(ledger, kind, at, body)
end

-- The text of an event that is not known to be on enough witnesses; empty text when it is, or needs none.
local function pendingText(ledger, log, sequence)
  if not ledger.witnessed or not redis.call('ZSCORE', log.pending, sequence) then return '' end
  local entry = redis.call('XRANGE', log.journal, sequence .. '-0', sequence .. '-0')[1]
  if not entry then return '' end
  return eventText(ledger, entry[2][2], entry[2][4], entry[2][6])
end
