# Synthetic individual numbers in path, query, headers, method, SNI, certificate and body, in every form: nothing that
# the box keeps or says holds one.
. "$OUTSIDE/bench.sh"
all
(
  cd certs
  leaf numbered union-ca DNS:kizon.union.example /CN=123456789018/O=621498320257
  leaf numbered-name union-ca DNS:987654321093.example,URI:urn:number:123456789050 /CN=111111111118
)
python3 "$OUTSIDE/number.py" certs answers > needles
curl -sf http://127.30.0.1:9617/metrics > metrics
curl -sf http://127.30.0.1:9617/ > page
"$SEKISHO" status -c appliance.yaml > status
kill -TERM "$sekisho_pid"; wait "$sekisho_pid" || fail "stopped with $?"
[ -s answers ] || fail 'nothing was answered'
grep -q malformed_request answers || fail 'no refusal among the answers'
python3 "$OUTSIDE/ledger.py" silent state/ledger state sekisho.log metrics page status answers < needles
grep -c '"kind":"request"' state/ledger/*.jsonl > /dev/null || fail 'no request was forwarded, so nothing was shown'
