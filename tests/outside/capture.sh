# A capture of the lab, taken by tcpdump in a network of its own, judged by the lab's law and compared with its ledger;
# and the same capture as tshark reads it: conversations, who began, server names, bytes each way.
cat > record.sh <<'SH'
ip link set lo up
tcpdump -i lo -s 0 -B 262144 -w lab.pcap 2> tcpdump.log &
tcpdump=$!
until grep -q 'listening on' tcpdump.log; do sleep 0.1; done
"$SEKISHO" lab --once --directory lab > lab.log 2>&1 || { cat lab.log; exit 1; }
sleep 1
kill -INT "$tcpdump"; wait "$tcpdump" || true
SH
unshare --net bash -euo pipefail record.sh
tail -n 1 tcpdump.log | grep '^0 packets dropped by kernel' > /dev/null || { cat tcpdump.log; exit 1; }

code=0
"$SEKISHO" capture -c lab/appliance.yaml --ledger lab/ledger --format json --textfile capture.prom lab.pcap > capture.jsonl || code=$?
"$SEKISHO" capture -c lab/appliance.yaml --ledger lab/ledger lab.pcap || true
[ "$code" = 1 ] || { echo "exit $code, where the lab's forbidden attempts are violations"; exit 1; }
python3 "$OUTSIDE/capture.py" lab capture.jsonl
grep -q '^sekisho_capture_ledger{outcome="bypassed"} 0$' capture.prom
promtool check metrics < capture.prom

# The other half of the test: without the entries of one passage, that passage is a bypass.
cp -r lab/ledger forgotten
sed -i '/"kind":"dialled"/d' forgotten/*.jsonl
code=0
"$SEKISHO" capture -c lab/appliance.yaml --ledger forgotten --format json lab.pcap > forgotten.jsonl || code=$?
[ "$code" = 1 ] || { echo "exit $code"; exit 1; }
python3 "$OUTSIDE/capture.py" forgotten forgotten.jsonl

# Standard input, compressed.
gzip -c lab.pcap | "$SEKISHO" capture -c lab/appliance.yaml --format json - > stdin.jsonl || true
python3 "$OUTSIDE/capture.py" same capture.jsonl stdin.jsonl

python3 "$OUTSIDE/capture.py" tshark capture.jsonl lab.pcap

# The same packets in tags, labels and tunnels are the same connections, to us and to tshark.
python3 "$OUTSIDE/capture.py" wrap lab.pcap wrapped.pcap
"$SEKISHO" capture -c lab/appliance.yaml --format json wrapped.pcap > wrapped.jsonl || true
python3 "$OUTSIDE/capture.py" same capture.jsonl wrapped.jsonl
python3 "$OUTSIDE/capture.py" tshark wrapped.jsonl wrapped.pcap

# What tcpdump sees right now, from its pipe: an end cut off at the last packet is none, and the stranger is found.
cat > pipe.sh <<'SH'
ip link set lo up
mkfifo pipe
tcpdump -i lo -U -s 0 -w - tcp > pipe 2> pipe.log & tcpdump=$!
"$SEKISHO" capture -c lab/appliance.yaml --format json - < pipe > pipe.jsonl & judged=$!
until grep -q 'listening on' pipe.log; do sleep 0.1; done
for _ in 1 2 3; do curl -s -o /dev/null http://127.0.0.77:9/ || true; done
sleep 1
kill -INT "$tcpdump"; wait "$tcpdump" || true
code=0; wait "$judged" || code=$?
[ "$code" = 1 ] || { echo "exit $code"; exit 1; }
SH
unshare --net bash -euo pipefail pipe.sh
python3 "$OUTSIDE/capture.py" pipe pipe.jsonl
