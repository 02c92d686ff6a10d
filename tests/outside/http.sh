# curl with a client certificate, HTTP/1.1 and HTTP/2 → sekisho → nginx that demands one; 100 MiB both ways.
. "$OUTSIDE/bench.sh"
all
url=https://chukan.center.example:8443/exchange

head -c $((100 * 1024 * 1024)) /dev/urandom > big
sum=$(sha256sum < big)
for version in --http1.1 --http2; do
  same "$version upload" 201 "$(call $version -o up.txt -w '%{http_code}' -T big "$url/big$version")"
  same "$version stored" "$sum" "$(sha256sum < "nginx/store/exchange/big$version")"
  same "$version download" 200 "$(call $version -o down -w '%{http_code}' "$url/big$version")"
  same "$version byte-exact" "$sum" "$(sha256sum < down)"
  spoken=$(call $version -o /dev/null -w '%{http_version}' "$url/big$version")
  note "$version: 100 MiB up and down byte-exact, spoken HTTP/$spoken"
done
grep -q 'CN=center-facing' nginx/access.log || fail 'nginx saw no certificate of the box'

# Refusals say why, in both languages, with the ledger's reference.
refused() { # REASON STATUS CURL ARGUMENTS...
  local reason=$1 status=$2; shift 2
  same "$reason" "$status" "$(call -o refusal -w '%{http_code}' "$@")"
  grep -q "\"$reason\"" refusal || fail "$reason is not in: $(cat refusal)"
}
refused method 403 -X DELETE "$url/big--http2"
refused path 403 https://chukan.center.example:8443/elsewhere
refused host_mismatch 421 -H 'Host: stream.center.example' "$url/x"
refused host_mismatch 421 --http1.1 -H 'Host: stream.center.example' "$url/x"
refused malformed_request 400 --path-as-is "$url/../x"
same 'no certificate' 403 "$(curl -s --cacert certs/union-ca.pem --resolve chukan.center.example:8443:127.30.0.1 -o refusal -w '%{http_code}' "$url/x")"
grep -q identity_missing refusal
same 'a stranger' 403 "$(call --cert certs/stranger.pem --key certs/stranger.key -o refusal -w '%{http_code}' "$url/x")"
grep -q certificate_invalid refusal
same 'the eligibility side by identity' 403 "$(call --cert certs/oqs.pem --key certs/oqs.key -o refusal -w '%{http_code}' "$url/x")"
grep -q reverse_access refusal
! call --interface 127.21.0.9 -o refusal "$url/x" || fail 'the eligibility side was answered'
! call --interface 127.99.0.9 -o refusal "$url/x" || fail 'an unknown source was answered'
! call --interface 127.21.0.9 --resolve chukan.center.example:8443:127.30.0.2 "$url/x" || fail 'the refusing listener answered'
same 'no TLS 1.2' 000 "$(call --tls-max 1.2 -o /dev/null -w '%{http_code}' "$url/x" || true)"
kill -TERM "$sekisho_pid"; wait "$sekisho_pid" || fail "stopped with $?"
for reason in method path host_mismatch malformed_request identity_missing certificate_invalid reverse_access unknown_source tls_version; do
  grep -q "\"reason\":\"$reason\"" state/ledger/*.jsonl || fail "the ledger says nothing of $reason"
done
! grep -q DELETE nginx/access.log || fail 'a refused request reached nginx'
