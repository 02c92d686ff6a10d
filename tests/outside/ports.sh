# Upstream connections in a network with eleven local ports, one of them reserved: five are for whoever binds, and each is used
# again right after a connection that this side closed; a live connection's port is passed over, and nothing is lost by it.
. "$OUTSIDE/bench.sh"
pki; law; appliance
both=DNS:chukan.center.example,DNS:stream.center.example
(cd certs && leaf chukan center-ca "$both" && leaf union-facing union-ca "$both")
mkdir -p nginx/store/exchange
printf 'hello' > nginx/store/exchange/greeting
cat > case.sh <<'SH'
. "$OUTSIDE/bench.sh"
ip link set lo up
echo '40000 40011' > /proc/sys/net/ipv4/ip_local_port_range
echo 40003 > /proc/sys/net/ipv4/ip_local_reserved_ports
nginx_start
sed -i 's|listen 127.20.0.1:9443 ssl http2;|&\n    listen 127.20.0.2:9443 ssl;|' nginx/nginx.conf
kill -HUP "$nginx_pid"
wait_for 10 bash -c 'exec 3<>/dev/tcp/127.20.0.2/9443'
tcpdump -U -i lo -s 0 -w wire.pcap 2> tcpdump.log & recorder=$!
wait_for 10 grep -q 'listening on' tcpdump.log
sekisho_start
stream=https://stream.center.example:8443
greet() { call --resolve stream.center.example:8443:127.30.0.1 --http1.1 "$stream/exchange/greeting"; }
dialled() { cat state/ledger/*.jsonl | grep '"kind":"dialled"'; }
local_ports() { dialled | sed -n 's/.*"local":"127\.30\.0\.2:\([0-9]*\)".*/\1/p'; }

# The kernel's own choice of a port would be at its end after five; a second is what Linux lets a port rest on loopback.
for n in $(seq 12); do same "answer $n" hello "$(greet)"; sleep 0.4; done
wait_for 5 bash -c '[ "$(cat state/ledger/*.jsonl | grep -c "\"kind\":\"closed\"")" -ge 12 ]'
same 'dials' 12 "$(local_ports | wc -l)"
same 'their ports' '40001 40005 40007 40009 40011' "$(local_ports | sort -u | xargs)"
grep -q 'still taken' state/ledger/*.jsonl && fail 'a port was asked for that had not rested'

# Five live relays have them all.
sleep 1.2
held=()
for n in $(seq 5); do
  sleep 60 | openssl s_client -connect 127.30.0.1:8443 -servername stream.center.example -cert certs/kizon.pem -key certs/kizon.key \
    -CAfile certs/union-ca.pem -quiet > "held-$n" 2>&1 &
  held+=($!)
  wait_for 10 bash -c '[ "$(cat state/ledger/*.jsonl | grep -c "\"kind\":\"dialled\"")" -ge '"$((12 + n))"' ]'
done
same 'answer beside five that live' hello "$(greet)"
sleep 0.2
case "$(local_ports | tail -n 1)" in 4000[02468]|40010) ;; *) fail "not a spare port: $(local_ports | tail -n 1)" ;; esac
same 'ports that were taken' 4 "$(cat state/ledger/*.jsonl | grep -c 'the local port is still taken')"
kill "${held[@]}"
kill -TERM "$sekisho_pid"; wait "$sekisho_pid" || fail "stopped with $?"
sleep 1 # the kernel hands packets over in blocks
kill -INT "$recorder"; wait "$recorder" || true
"$SEKISHO" ledger verify -c appliance.yaml > verified || fail "$(cat verified)"
order=$(cat state/ledger/*.jsonl | grep -E '"kind":"(dialled|failed)"' | tail -n 9 | sed 's/.*"kind":"\([a-z]*\)".*/\1/' | xargs)
same 'each failure before the next dial' 'dialled failed dialled failed dialled failed dialled failed dialled' "$order"
"$SEKISHO" capture -c appliance.yaml --ledger state/ledger --textfile capture.prom wire.pcap > captured || true
for outcome in bypassed unseen; do
  grep -q "^sekisho_capture_ledger{outcome=\"$outcome\"} 0\$" capture.prom || fail "$outcome: $(cat captured)"
done
note "$(local_ports | wc -l) dials from $(local_ports | sort -u | wc -l) ports, of five that live one had to be passed over $(cat state/ledger/*.jsonl | grep -c 'still taken') times"
SH
unshare --net bash -euo pipefail case.sh
