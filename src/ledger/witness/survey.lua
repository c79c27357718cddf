-- KEYS  meta, log, staged
-- ARGV  empty text, 0
-- Returns { 'BLANK' } | { 'MEMBER', ledger, promised, base, events }

if isBlank then return { 'BLANK' } end
return { 'MEMBER', known[1], whole(promised), whole(base), whole(redis.call('HLEN', log)) }
