# The unit as installed: systemd-analyze finds nothing to say.
. "$OUTSIDE/bench.sh"
root=$WORK/root
mkdir -p "$root/etc/systemd/system" "$root/usr/local/bin" "$root/usr/bin" "$root/etc/sekisho"
install -m 0755 "$SEKISHO" /usr/local/bin/sekisho
install -m 0644 "$PROJECT"/systemd/sekisho.service /etc/systemd/system/sekisho.service
systemd-sysusers "$PROJECT/systemd/sekisho.sysusers.conf"
said=$(systemd-analyze verify /etc/systemd/system/sekisho.service 2>&1 || true)
same 'systemd-analyze verify' '' "$said"
score=$(systemd-analyze security --offline=yes /etc/systemd/system/sekisho.service 2>/dev/null | tail -n 1)
note "$score"
