-- The fence: the history of the server on which this dataset is valid. A server that restarts or is promoted begins a
-- new one (master_replid), and may have forgotten what it acknowledged on the old one.

-- `before` of a server that was not promoted from a replica since it started.
local NO_HISTORY = string.rep('0', 40)

-- What the server is; nil where scripts may not ask.
local function server()
  local info = redis.pcall('INFO', 'replication')
  if type(info) ~= 'string' then return nil end
  return {
    role = string.match(info, 'role:(%a+)'),
    replicas = tonumber(string.match(info, 'connected_slaves:(%d+)')),
    history = string.match(info, 'master_replid:(%x+)'),
    before = string.match(info, 'master_replid2:(%x+)'),
  }
end

-- Why nothing may be written, or nil. `known` and `seen`: the ledger that the caller has served, or empty text, and the
-- highest event of it that it has seen. A ledger that ends before that has lost events: its fence is dropped, for
-- everybody.
local function barrier(ledger, here, known, seen)
  if not here then return 'info' end
  if here.role ~= 'master' then return 'role' end
  if known == ledger.identity and seen > ledger.sequence and seen > ledger.seen then
    redis.call('HSET', ledger.meta, 'fence', '', 'seen', whole(seen))
    ledger.fence, ledger.seen = '', seen
  end
  if ledger.seen > ledger.sequence then return 'rolled-back' end
  if ledger.fence ~= here.history then return 'history' end
end

-- For every script that writes: the ledger behind its fence, or nil and the reply that refuses. ARGV begins with the
-- caller: its epoch, '1' if it takes decisions to witnesses, the identity of the ledger it has served or empty text, and
-- the highest event of it that it has seen. Refusals:
--   MISSING | CORRUPT detail | EPOCH epoch | FENCED why sequence seen, where `why` is `held` for a moment
-- A replica of the server that is connected may be promoted without what is written now, so the next restart is not
-- trusted to have kept everything.
local function enter(meta)
  local ledger, refusal = open(meta)
  if refusal then return nil, refusal end
  local here = server()
  local why = barrier(ledger, here, take(), tonumber(take()))
  if not why and ledger.isHeld then why = 'held' end
  if why then return nil, { 'FENCED', why, whole(ledger.sequence), whole(ledger.seen) } end
  if ledger.synced and here.replicas > 0 then redis.call('HSET', ledger.meta, 'synced', '0') end
  return ledger
end

-- Whether a recovery may still write: nobody has claimed the server since, and it is the server that was claimed.
local function claimed(meta, epoch, history)
  local here = server()
  local claim = redis.call('HMGET', meta, 'claim', 'claimed', 'epoch')
  return here and here.role == 'master' and here.history == history and claim[1] == epoch and claim[2] == history
    and tonumber(claim[3] or '0') < tonumber(epoch)
end
