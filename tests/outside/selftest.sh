# The self-test in a network of its own, with tcpdump on it: what operated, what the ledger, the report and the metrics make
# of it, and that no packet went to a real endpoint. Then a law without a guardrail, whose self-test has to fail.
. "$OUTSIDE/bench.sh"
pki; law; appliance
cat > case.sh <<'SH'
. "$OUTSIDE/bench.sh"
ip link set lo up
nginx_start
accepted=$(wc -l < nginx/access.log)
sekisho_start
tcpdump -U -i lo -s 0 -w selftest.pcap 2> tcpdump.log & recorder=$!
wait_for 10 grep -q 'listening on' tcpdump.log
strace -f -qq -o strace.log -e trace=connect -p "$sekisho_pid" 2> attached & tracer=$!
sleep 0.5
"$SEKISHO" selftest -c appliance.yaml > tested || fail "exit $?: $(cat tested sekisho.log)"
"$SEKISHO" selftest -c appliance.yaml --format json > tested.json || fail "exit $? the second time"
kill "$tracer"; wait "$tracer" || true
"$SEKISHO" status -c appliance.yaml > status
curl -sf http://127.30.0.1:9617/metrics > metrics
same 'requests at the real endpoint' "$accepted" "$(wc -l < nginx/access.log)"
kill -TERM "$sekisho_pid"; wait "$sekisho_pid" || fail "stopped with $?"
sleep 1 # the kernel hands packets over in blocks
kill -INT "$recorder"; wait "$recorder" || true
SH
unshare --net bash -euo pipefail case.sh
cat tested
same 'probes that passed' 5 "$(grep -c '"outcome": "passed"' tested.json)"
same 'not in the law' 1 "$(grep -c '"outcome": "not_in_law"' tested.json)" # this law keeps no revocation list, and says why
grep -q '^5 of 5 as expected, 1 not in this law' tested || fail 'the last line'
grep -q '^self-test  *20.*5 of 5 as expected' status || fail "$(cat status)"
grep -q '^sekisho_selftest_runs_total{result="passed"} 2$' metrics || fail 'the metric'
grep -q '^sekisho_connections_total{outcome="completed",rule="register"} 0$' metrics || fail 'it was counted as traffic'
promtool check metrics < metrics

# Nothing went to an address of the law; what did go somewhere is what the recorder saw at all.
opened() { tcpdump -n -r selftest.pcap "tcp[tcpflags] == tcp-syn and ($1)" 2> /dev/null | wc -l; }
same 'connections to the real endpoints' 0 "$(opened 'dst net 127.20.0.0/24')"
same 'packets to or from the real endpoints' 0 "$(tcpdump -n -r selftest.pcap 'net 127.20.0.0/24' 2> /dev/null | wc -l)"
same 'connections to the stand-in, one a self-test' 2 "$(opened 'dst net 127.113.0.0/16')"
! grep -E 'sin_addr=inet_addr\("127\.(20|21|13)\.' strace.log || fail 'the service connected to a real address'
grep -q 'connect(' strace.log || fail 'strace saw nothing'
note "tcpdump: $(opened tcp) connections on lo, none to a real endpoint; strace: $(grep -c 'connect(.*inet_addr' strace.log) dials, none to one"

# Evidence: intact, flagged, left out of what is decided again, told in the report.
"$SEKISHO" ledger verify -c appliance.yaml --re-decide > verified || fail "$(cat verified)"
grep -q '0 differ, 0 cannot be told' verified || fail "$(cat verified)"
grep -q 'entries of self-tests were left out' verified || fail "$(cat verified)"
"$SEKISHO" ledger show -c appliance.yaml --selftest only > flagged
same 'probes in the ledger' 12 "$(grep -c ' probe ' flagged)"
"$SEKISHO" ledger show -c appliance.yaml --selftest without > traffic
grep -Eq 'opened|dialled|refused' traffic && fail 'a self-test that looks like traffic'
today=$(TZ=Asia/Tokyo date +%F)
"$SEKISHO" report -c appliance.yaml --from "$today" --to "$today" --lang ja -o report.html
grep -q '自己試験「国外にある接続先」：機能した 2回、機能しなかった 0回' report.html || fail 'the clause does not say what operated'
grep -q '自己試験「失効した証明書による接続」：規則にないため試験していない' report.html || fail 'the report claims what was not tried'

# It can fail: without the guardrail the probe passes, and everybody is told.
sed -i '/residency:/d' policies/00-council.yaml
sekisho_start
code=0; "$SEKISHO" selftest -c appliance.yaml > tested || code=$?
same 'exit code' 1 "$code"
grep -Eq 'foreign_endpoint +outside_country +allow .*FAILED' tested || fail "$(cat tested)"
grep -q 'a probe of the self-test FAILED' sekisho.log || fail 'nothing in the log'
curl -sf http://127.30.0.1:9617/metrics > metrics
grep -q '^sekisho_selftest_failures_total{probe="foreign_endpoint"} 1$' metrics || fail 'the metric of a failure'
note "$(tail -n 1 tested)"
