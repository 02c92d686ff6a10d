# openssl s_client through a `tls` rule to openssl s_server that demands a certificate, and reads.
. "$OUTSIDE/bench.sh"
pki; law; appliance
(cd certs && leaf stream center-ca DNS:stream.center.example && leaf stream-facing union-ca DNS:stream.center.example)
sed -i 's|certs/union-facing\.|certs/stream-facing.|g' appliance.yaml
head -c 1000000 /dev/urandom | base64 -w 76 > answer
openssl s_server -accept 127.20.0.2:9443 -cert certs/stream.pem -key certs/stream.key -CAfile certs/center-ca.pem \
  -Verify 2 -verify_return_error -tls1_3 -quiet -naccept 1 < answer > received 2> server.log &
pids+=($!)
sekisho_start
(printf 'first line\n'; sleep 3) | openssl s_client -connect 127.30.0.1:8443 -servername stream.center.example \
  -cert certs/kizon.pem -key certs/kizon.key -CAfile certs/union-ca.pem -verify_return_error -quiet > answered 2> client.log || true
same 'what came back' "$(sha256sum < answer)" "$(sha256sum < answered)"
same 'what went up' 'first line' "$(cat received)"
kill -TERM "$sekisho_pid"; wait "$sekisho_pid" || fail "stopped with $?"
grep -q '"kind":"dialled"' state/ledger/*.jsonl || fail 'nothing dialled in the ledger'
note 's_client read 1.3 MB through the relay, byte-exact'
