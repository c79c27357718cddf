#!/bin/sh
# Development keys and a password for compose.yaml, into the folder /secrets; what is there stays. Anybody who can start
# containers on this machine can read them: never for money.
set -eu
secrets="${SECRETS:-/secrets}"
main="${MAIN:-/opt/countersign/dist/main.js}"
for key in answer:rsa cosigner-a:rsa cosigner-b:rsa operator:ed25519; do
  file="$secrets/${key%%:*}.pem"
  [ -f "$file" ] || node "$main" keys generate --type "${key##*:}" --out "$file"
done
[ -f "$secrets/redis-password" ] || node --print 'crypto.randomBytes(24).toString("base64url")' > "$secrets/redis-password"
# Redis runs as another user than the replicas.
chmod 0755 "$secrets" && chmod 0444 "$secrets/redis-password"
if [ "$(id -u)" = 0 ]; then chown 65532:65532 "$secrets"/*.pem; fi
