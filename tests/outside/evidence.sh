# The ledger under a bad disk and under kill -9: whatever was answered is in it, or is counted in a gap entry; every
# checkpoint is the root of the lines. The faults are strace's, into the writer's own calls.
. "$OUTSIDE/bench.sh"
pki; law; appliance
ledger() { python3 "$OUTSIDE/ledger.py" "$@"; }
ask() { "$SEKISHO" status -c appliance.yaml >/dev/null 2>&1; }
ready() { curl -s -o /dev/null -w '%{http_code}' http://127.30.0.1:9617/readyz; }

# fault NAME EXPECTED FILE INJECTION: calls for 14 s while FILE fails as INJECTION says; /readyz says EXPECTED meanwhile.
fault() {
  rm -rf state; mkdir state
  strace -f -qq -o strace.log -P "$PWD/state/ledger/$3" -e trace=write,fdatasync -e inject="$4" \
    "$SEKISHO" run -c appliance.yaml 2>>sekisho.log &
  local tracer=$! calls=0 seen=200
  wait_for 20 curl -sf http://127.30.0.1:9617/readyz
  local traced; traced=$(pgrep -P "$tracer")
  pids+=("$traced" "$tracer") # strace alone would let go of it and leave it running
  local until=$((SECONDS + 14)) # a checkpoint comes every 9 s
  while [ "$SECONDS" -lt "$until" ]; do
    ask && calls=$((calls + 1))
    [ "$(ready)" = 200 ] || seen=503
    sleep 0.1
  done
  same "$1: readyz" "$2" "$seen"
  wait_for 20 curl -sf http://127.30.0.1:9617/readyz
  ask && calls=$((calls + 1))
  kill -TERM "$traced"
  wait "$tracer" || fail "$1: stopped with $?"
  grep -qE 'INJECTED|DELAYED' strace.log || fail "$1: nothing was injected"
  ledger accounted state/ledger "$calls" "$1"
}

segment=000000000001.jsonl
fault 'ENOSPC on write'       503 "$segment" write:error=ENOSPC:when=4..6
fault 'EIO on write'          503 "$segment" write:error=EIO:when=4..6
fault 'EROFS on write'        503 "$segment" write:error=EROFS:when=4..6
fault 'EIO on fdatasync'      503 "$segment" fdatasync:error=EIO:when=4..6
fault 'ENOSPC on fdatasync'   503 "$segment" fdatasync:error=ENOSPC:when=4..6
fault 'EIO on a checkpoint'   503 checkpoints fdatasync:error=EIO:when=2..3
sed -i 's/sync_timeout: 30s/sync_timeout: 1s/' appliance.yaml
fault 'an fsync of 3 s'       503 "$segment" fdatasync:delay_enter=3000000:when=4
sed -i 's/when_unwritable: refuse/when_unwritable: continue/' appliance.yaml
fault 'ENOSPC under continue' 200 "$segment" write:error=ENOSPC:when=4..6
sed -i 's/sync_timeout: 1s/sync_timeout: 30s/; s/when_unwritable: continue/when_unwritable: refuse/' appliance.yaml

# kill -9 at 200 moments of a life: while starting, closing the last segment, signing, serving.
rm -rf state; mkdir state
: > answered
asker() {
  while :; do
    (exec "$SEKISHO" status -c appliance.yaml >/dev/null 2>&1) & local one=$!
    # What was answered was recorded before: it must be there, whenever the kill came.
    wait "$one" && printf '%s\n' "$one" >> answered
    sleep 0.01
  done
}
asker & asking=$!
pids+=("$asking")
for _ in $(seq 200); do
  "$SEKISHO" run -c appliance.yaml 2>>sekisho.log & one=$!
  sleep "0.$(printf '%03d' $((RANDOM % 500)))"
  kill -9 "$one"; wait "$one" 2>/dev/null || true
done
kill "$asking"; wait "$asking" 2>/dev/null || true
sekisho_start
kill -TERM "$sekisho_pid"; wait "$sekisho_pid" || fail "stopped with $?"
ledger survived state/ledger answered
