# kill -9 in mid-load, ten times: nothing reached the upstream that the ledger does not have. Then strace: the sync that
# covers *opened* and *dialled* has returned before connect.
. "$OUTSIDE/bench.sh"
pki; law; appliance
(cd certs && leaf stream center-ca DNS:stream.center.example && leaf stream-facing union-ca DNS:stream.center.example)
sed -i 's|certs/union-facing\.|certs/stream-facing.|g' appliance.yaml
python3 "$OUTSIDE/witness.py" 127.20.0.2 9443 certs/stream.pem certs/stream.key certs/center-ca.pem ports &
pids+=($!)
wait_for 10 test -e ports

load() { # until killed: a new connection, and so a new dial, each time
  while :; do
    printf 'x\n' | timeout 5 openssl s_client -connect 127.30.0.1:8443 -servername stream.center.example -cert certs/kizon.pem \
      -key certs/kizon.key -CAfile certs/union-ca.pem -quiet >/dev/null 2>&1 || true
  done
}

for round in 1 2 3 4 5 6 7 8 9 10; do
  sekisho_start
  load & first=$!; load & second=$!; load & third=$!
  sleep 0.7
  kill -9 "$sekisho_pid"; wait "$sekisho_pid" 2>/dev/null || true
  kill "$first" "$second" "$third"; wait "$first" "$second" "$third" 2>/dev/null || true
done
sekisho_start
kill -TERM "$sekisho_pid"; wait "$sekisho_pid" || fail "stopped with $?"
python3 "$OUTSIDE/ledger.py" killed state/ledger ports 10

rm -rf state ports.strace
mkdir state
strace -f -qq -s 65536 -e trace=write,writev,pwrite64,pwritev,fdatasync,connect,getsockname -o strace.log \
  "$SEKISHO" run -c appliance.yaml 2>>sekisho.log &
pids+=($!)
wait_for 20 curl -sf http://127.30.0.1:9617/readyz
for _ in 1 2 3 4 5; do
  printf 'x\n' | timeout 5 openssl s_client -connect 127.30.0.1:8443 -servername stream.center.example -cert certs/kizon.pem \
    -key certs/kizon.key -CAfile certs/union-ca.pem -quiet >/dev/null 2>&1 || true
done
kill -TERM "$(pgrep -f "^$SEKISHO run -c appliance.yaml" | head -n 1)"
wait_for 20 bash -c '! curl -sf http://127.30.0.1:9617/livez'
python3 "$OUTSIDE/ledger.py" synced strace.log 127.20.0.2 9443
