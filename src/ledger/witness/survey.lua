-- KEYS  meta, log, staged
-- ARGV  empty text, 0, a name for the disk if it has none yet
-- Returns { 'BLANK', disk } | { 'MEMBER', disk, ledger, promised, base, events }

if not disk then
  disk = ARGV[3]
  redis.call('HSET', meta, 'disk', disk)
end
if isBlank then return { 'BLANK', disk } end
return { 'MEMBER', disk, known[1], whole(promised), whole(base), whole(redis.call('HLEN', log)) }
