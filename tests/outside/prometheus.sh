# promtool accepts what the box exports, after traffic of every kind.
. "$OUTSIDE/bench.sh"
all
call -o /dev/null https://chukan.center.example:8443/exchange/none || true
call -o /dev/null -X DELETE https://chukan.center.example:8443/exchange/none || true
call -o /dev/null --interface 127.99.0.1 https://chukan.center.example:8443/ || true
curl -sf http://127.30.0.1:9617/metrics > metrics
promtool check metrics < metrics > said 2>&1 || fail "promtool: $(cat said)"
same 'promtool is silent' '' "$(cat said)"
grep -q '^sekisho_requests_total{code="404",rule="register"} 1' metrics || fail "$(grep sekisho_requests metrics)"
grep -q '^sekisho_denials_total{reason="unknown_source",stage="arrival"} 1' metrics || fail 'the denial is not counted'
note "$(grep -c '^sekisho_' metrics) samples, $(grep -c '^# TYPE' metrics) families"
