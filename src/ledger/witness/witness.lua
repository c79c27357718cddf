-- A witness: a small server of its own that holds the log of one ledger. Two keys, and one while a recovery installs:
--   meta    hash: ledger, promised (the highest epoch it has promised), base (the epoch its log was installed under),
--           appended (the epoch of the newest event appended), staging (the epoch whose events are being put aside),
--           trimmed (the last event that was forgotten), disk (a name that is lost with everything else)
--   log     hash: sequence number -> epoch in which it was appended or installed, type, Unix milliseconds, body
--   staged  hash: the same, of the events that are put aside
-- Without a ledger it is blank: it has promised nothing and holds nothing, and nothing is appended to it.
--
-- Every script begins with ARGV ledger, epoch. Refusals: BLANK | OTHER ledger | PROMISED epoch | OTHER_DISK | BEGUN

local meta, log, staged = KEYS[1], KEYS[2], KEYS[3]
local ledger, epoch = ARGV[1], tonumber(ARGV[2])

local function whole(number)
  return string.format('%.0f', number)
end

local known = redis.call('HMGET', meta, 'ledger', 'promised', 'base', 'staging', 'disk', 'appended')
local isBlank, disk = not known[1], known[5]
local promised, base, staging = tonumber(known[2] or '0'), tonumber(known[3] or '0'), tonumber(known[4] or '0')
local appended = tonumber(known[6] or '0')

-- For events: of this ledger, and of no epoch below the promise.
local function refuseEvent()
  if isBlank then return { 'BLANK' } end
  if known[1] ~= ledger then return { 'OTHER', known[1] } end
  if epoch < promised then return { 'PROMISED', whole(promised) } end
end

-- For the steps of a recovery after the seal: this very promise still stands. A blank witness has made none.
local function refuseStep()
  if isBlank then return nil end
  if known[1] ~= ledger then return { 'OTHER', known[1] } end
  if epoch ~= promised then return { 'PROMISED', whole(promised) } end
end

-- For what a recovery writes: on the disk that it surveyed. One that has been lost since may have held, and answered
-- for, events that came after that recovery had read; it waits for the next one. And before the epoch has begun here: a
-- step that was given up, and arrives once events of the epoch were taken, would drop them.
local function refuseInstallation(surveyed)
  if disk ~= surveyed then return { 'OTHER_DISK' } end
  local refusal = refuseStep()
  if refusal then return refusal end
  if epoch == base or epoch == appended then return { 'BEGUN' } end
end
