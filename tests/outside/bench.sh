# The workbench of the cases: a PKI by openssl, a law and a box on loopback addresses, an nginx that demands a client
# certificate, and a sekisho in front of it. Sourced, with $SEKISHO and $WORK set.

pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
}
trap finish EXIT

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
same() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }
note() { printf 'note: %s\n' "$*"; }

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  local deadline=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || fail "waited in vain for: $*"
    sleep 0.05
  done
}

authority() { # NAME
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" \
    -days 30 -subj "/CN=$1" -addext 'basicConstraints=critical,CA:TRUE' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' 2>/dev/null
}

leaf() { # NAME AUTHORITY SUBJECT_ALT_NAME [SUBJECT]
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" \
    -subj "${4:-/CN=$1}" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 20 -out "$1.pem" \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=critical,digitalSignature\n' "$3") 2>/dev/null
  chmod 0600 "$1.key"
}

pki() {
  mkdir -p certs
  (
    cd certs
    authority union-ca
    authority center-ca
    authority other-ca
    leaf kizon union-ca DNS:kizon.union.example
    leaf oqs union-ca DNS:oqs.center.example
    leaf stranger other-ca DNS:kizon.union.example
    leaf union-facing union-ca DNS:chukan.center.example
    leaf center-facing center-ca DNS:edge.union.example
    leaf chukan center-ca DNS:chukan.center.example
  )
}

law() {
  mkdir -p policies
  cat > policies/00-council.yaml <<'YAML'
version: 1
timezone: Asia/Tokyo
interconnection:
  business_number: null
  section: 保険部管理課
  name: 更改後の医療保険者等向け中間サーバー等への接続
  purpose: マイナンバー情報連携
  counterparties: [社会保険診療報酬支払基金, 国民健康保険中央会]
  categories: [basic, economic, health, individual_number]
  connection_date: 2020-06-15
documents:
  site-contract: { title: クラウドサービス利用契約, clause: "4(1)ア(ア)", reference: "contract" }
approvals:
  r1-5: { consultation: 令和元年度諮問第５号, since: 2020-06-15 }
guardrails:
  destinations:   { only: [intermediate-server, stream-server] }
  reverse_access: { never_initiates: [online-eligibility], clause: "別添1(2)1" }
  residency:      { countries: [JP], round_trip: observe, clause: "4(1)ア(ア)～(ウ)" }
  content:        { no_individual_number_to: [online-eligibility], clause: "別添1(2)1" }
  encryption:     { tls: ["1.3"], mutual: true, passthrough: refused, clause: "4(1)イ" }
YAML
  cat > policies/10-systems.yaml <<'YAML'
version: 1
sites:
  tokyo: { title: 東京拠点, country: JP, dial: always, evidence: site-contract }
trust:
  union-ca:  { roots: ../certs/union-ca.pem,  revocation: { none: "a test authority of one day" } }
  center-ca: { roots: ../certs/center-ca.pem, revocation: { none: "a test authority of one day" } }
systems:
  existing-system:
    title: 既存システム
    side: union
    addresses: [127.0.0.1/32, 127.13.0.0/16]
    identities: ["dns:kizon.union.example"]
  intermediate-server:
    title: 医療保険者等向け中間サーバー
    side: center
    owner: 社会保険診療報酬支払基金
    identities: ["dns:chukan.center.example"]
    upstream:
      server_name: chukan.center.example
      line: ip-vpn
      trust: center-ca
      certificate: center-facing
      endpoints: [{ address: "127.20.0.1:9443", site: tokyo, approval: r1-5 }]
  stream-server:
    side: center
    owner: 社会保険診療報酬支払基金
    identities: ["dns:stream.center.example"]
    upstream:
      server_name: stream.center.example
      line: ip-vpn
      trust: center-ca
      certificate: center-facing
      endpoints: [{ address: "127.20.0.2:9443", site: tokyo, approval: r1-5 }]
  online-eligibility:
    title: オンライン資格確認等システム
    side: center
    addresses: [127.21.0.0/16]
    identities: ["dns:oqs.center.example"]
YAML
  cat > policies/20-rules.yaml <<'YAML'
version: 1
rules:
  register:
    title: 資格情報の登録
    approval: r1-5
    from: [existing-system]
    to: intermediate-server
    protocol: https
    http: { methods: [GET, POST, PUT], paths: ["/exchange/**"] }
    individual_number: permitted
  stream:
    title: 一括送信
    approval: r1-5
    from: [existing-system]
    to: stream-server
    protocol: tls
    individual_number: permitted
YAML
}

appliance() {
  cat > appliance.yaml <<'YAML'
version: 1
name: outside-edge
organisation: 試験用広域連合
policies: policies
state: state
control: run/control.sock
admin: { bind: "127.30.0.1:9617", allow: [127.0.0.0/8] }
ledger: { directory: state/ledger, retain: 7y, when_unwritable: refuse, sync: 50ms }
lines:
  ip-vpn: { title: IP-VPN, interface: lo, source: 127.30.0.2 }
certificates:
  union-facing:  { chain: certs/union-facing.pem,  key: certs/union-facing.key }
  center-facing: { chain: certs/center-facing.pem, key: certs/center-facing.key }
listeners:
  union-lan:    { bind: ["127.30.0.1:8443"], mode: reverse, certificate: union-facing, clients: union-ca }
  center-guard: { bind: ["127.30.0.2:8443"], mode: refuse }
limits: { disk_reserve: 1MiB, sync_timeout: 30s } # the disk of a test machine is shared with everything else
YAML
  mkdir -p state run
}

# An nginx that demands our certificate; PUT and POST store what they get, GET gives it back.
nginx_start() {
  mkdir -p nginx/store nginx/tmp
  cat > nginx/nginx.conf <<CONF
user root;
daemon off;
worker_processes 1;
pid $PWD/nginx/pid;
error_log $PWD/nginx/error.log;
events { worker_connections 4096; }
http {
  client_max_body_size 0;
  client_body_temp_path $PWD/nginx/tmp;
  log_format witness '\$remote_addr \$remote_port "\$request" \$status \$ssl_client_s_dn \$server_protocol';
  access_log $PWD/nginx/access.log witness;
  keepalive_requests 1000000;
  types { }
  default_type application/octet-stream;
  server {
    listen 127.20.0.1:9443 ssl http2;
    server_name chukan.center.example;
    ssl_certificate $PWD/certs/chukan.pem;
    ssl_certificate_key $PWD/certs/chukan.key;
    ssl_client_certificate $PWD/certs/center-ca.pem;
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    root $PWD/nginx/store;
    location /exchange/ { dav_methods PUT DELETE; create_full_put_path on; }
  }
}
CONF
  nginx -p "$PWD/nginx" -c "$PWD/nginx/nginx.conf" 2>nginx/stderr &
  pids+=($!)
  nginx_pid=$!
  wait_for 10 bash -c 'exec 3<>/dev/tcp/127.20.0.1/9443'
}

sekisho_start() {
  "$SEKISHO" run -c appliance.yaml 2>>sekisho.log &
  sekisho_pid=$!
  pids+=("$sekisho_pid")
  wait_for 10 curl -sf http://127.30.0.1:9617/readyz
}

# call [CURL ARGUMENTS...]: as the existing system.
call() {
  curl -s --cacert certs/union-ca.pem --cert certs/kizon.pem --key certs/kizon.key \
    --resolve chukan.center.example:8443:127.30.0.1 "$@"
}

all() { pki; law; appliance; nginx_start; sekisho_start; }
