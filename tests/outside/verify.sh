# A verifier in another language, from the standards' texts alone, and ours: both accept what the box wrote, and both refuse
# what somebody did to it. Then Prometheus as second witness, and the end of the ledger's life.
. "$OUTSIDE/bench.sh"
"$SEKISHO" lab --once --directory lab > lab.txt
box=lab/appliance.yaml
ledger=$(dirname "$(find lab -name checkpoints)")
key=$("$SEKISHO" ledger key -c "$box")
independent() { python3 "$OUTSIDE/verify.py" "$@" "$key"; }
# A verifier that breaks down has refused nothing.
refuses() { local status=0; independent "$@" > refusal || status=$?; [ "$status" -eq 3 ]; }
ours() { "$SEKISHO" ledger verify "$@" --key "$key"; }

ours "$ledger" > verified || fail "not intact: $(cat verified)"
"$SEKISHO" ledger verify -c "$box" > /dev/null || fail 'the box file names another ledger or key'
independent ledger "$ledger" > accepted || fail "the independent verifier does not accept it: $(cat accepted)"
note "independent: $(cat accepted)"
head=$(sed -n 's/^keep elsewhere: //p' verified)
entries=${head%%:*}

# Every tenth entry with its proof.
for seq in $(seq 1 10 "$entries"); do
  "$SEKISHO" ledger prove "$seq" "$ledger" --key "$key" -o proof
  "$SEKISHO" ledger verify-proof proof --key "$key" > shown || fail "our own proof of $seq: $(cat shown)"
  independent proof proof > shown || fail "proof of $seq: $(cat shown)"
  sed '3s/.*/index 99999/' proof > tampered
  refuses proof tampered || fail "a proof with another index is accepted"
  ! "$SEKISHO" ledger verify-proof tampered --key "$key" > /dev/null 2>&1 || fail "we accept a proof with another index"
  python3 - proof tampered <<'PY'
import base64, sys
lines = open(sys.argv[1]).read().split("\n")
line = bytearray(base64.b64decode(lines[1][6:]))
line[-3] ^= 1
lines[1] = "extra " + base64.b64encode(line).decode()
open(sys.argv[2], "w").write("\n".join(lines))
PY
  refuses proof tampered || fail "a proof of another line is accepted"
  ! "$SEKISHO" ledger verify-proof tampered --key "$key" > /dev/null 2>&1 || fail "we accept a proof of another line"
done
note "proofs of $((1 + (entries - 1) / 10)) entries: both accept them, both refuse them tampered"

# 40 random bytes of lines and checkpoints, flipped one at a time: both refuse each.
flips=40
for number in $(seq "$flips"); do
  rm -rf changed; cp -r "$ledger" changed
  flipped=$(python3 - changed "$number" <<'PY'
import pathlib, random, sys
random.seed(int(sys.argv[2]))
files = sorted(p for p in pathlib.Path(sys.argv[1]).iterdir() if (p.suffix == ".jsonl" or p.name == "checkpoints") and p.stat().st_size)
file = random.choice(files)
data = bytearray(file.read_bytes())
# The last byte of the last note is a line break that says nothing; the one before it ends the signature.
at = random.randrange(len(data) - 2)
data[at] ^= 1 << random.randrange(8)
file.write_bytes(data)
print(file.name, at, bytes(data[at:at+1]))
PY
)
  refuses ledger changed || fail "$flipped: the independent verifier does not refuse it: $(cat refusal)"
  status=0; ours changed > refusal 2>&1 || status=$?
  same "$flipped" 1 "$status"
done
note "$flips flipped bits: both refuse each"

# What nothing inside can show, a head that was kept does: the newest entries gone together with their checkpoints.
rm -rf changed; cp -r "$ledger" changed
python3 - changed <<'PY'
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
notes = (folder / "checkpoints").read_text().split("\n\n")
pairs = [notes[i] + "\n\n" + notes[i + 1] + "\n\n" for i in range(0, len(notes) - 1, 2)]
size = int(pairs[-2].split("\n")[1])
(folder / "checkpoints").write_text("".join(pairs[:-1]))
number = 0
for segment in sorted(folder.glob("*.jsonl")):
    kept = [line for line in segment.read_text().splitlines(keepends=True) if (number := number + 1) <= size]
    segment.write_text("".join(kept))
PY
ours changed > /dev/null || fail 'a ledger that was cut together with its checkpoints should look intact from inside'
status=0; ours changed --against "$head" > refusal || status=$?
same 'rolled back' 1 "$status"
grep -q '^rolled_back: ' refusal || fail "$(cat refusal)"
ours "$ledger" --against "$ledger/checkpoints" --against "$head" > /dev/null || fail 'its own checkpoints do not fit it'

# Prometheus scrapes a box of its own; its samples fit, and fit no other ledger.
pki; law; appliance; sekisho_start
prometheus_key=$("$SEKISHO" ledger key -c appliance.yaml)
printf '%s\n' 'global: { scrape_interval: 1s }' 'scrape_configs: [{ job_name: sekisho, static_configs: [{ targets: ["127.30.0.1:9617"] }] }]' > prometheus.yml
prometheus --config.file=prometheus.yml --storage.tsdb.path=tsdb --web.listen-address=127.30.0.5:9090 > prometheus.log 2>&1 &
pids+=($!)
scraped() { curl -sf 'http://127.30.0.5:9090/api/v1/query?query=sekisho_ledger_checkpoint_entries%3E3' | grep '"value"' > /dev/null; }
for _ in 1 2 3; do "$SEKISHO" reload -c appliance.yaml > /dev/null; done
wait_for 40 scraped
sleep 3
witness() { "$SEKISHO" ledger verify "$1" --key "$2" --prometheus http://127.30.0.5:9090 --range 1h; }
witness state/ledger "$prometheus_key" > verified || fail "$(cat verified)"
grep -q 'heads held elsewhere' verified || fail "$(cat verified)"
note "prometheus: $(head -n 1 verified)"
status=0; witness "$ledger" "$key" > refusal || status=$?
same 'another ledger' 1 "$status"
grep -Eq '^(forked|rolled_back): ' refusal || fail "$(cat refusal)"

# The end of its life.
kill -TERM "$sekisho_pid"; wait "$sekisho_pid" || fail "stopped with $?"
name=$(sed -n 's/^name: //p' appliance.yaml)
! "$SEKISHO" ledger seal -c appliance.yaml --confirm another-box 2> /dev/null || fail 'sealed under another name'
"$SEKISHO" ledger seal -c appliance.yaml --confirm "$name" > sealed
ls state/ledger.key 2> /dev/null && fail 'the key is still there'
"$SEKISHO" ledger verify state/ledger --key "$prometheus_key" > verified || fail "$(cat verified)"
! "$SEKISHO" run -c appliance.yaml 2> refused || fail 'a sealed ledger is written again'
grep -q 'was sealed and takes no more entries' refused || fail "$(cat refused)"
note "sealed: $(head -n 1 sealed)"
