# The units as installed: systemd-analyze finds nothing to say.
. "$OUTSIDE/bench.sh"
root=$WORK/root
mkdir -p "$root/etc/systemd/system" "$root/usr/local/bin" "$root/usr/bin" "$root/etc/sekisho"
install -m 0755 "$SEKISHO" /usr/local/bin/sekisho
units=(sekisho.service sekisho-selftest.service sekisho-selftest.timer)
for unit in "${units[@]}"; do install -m 0644 "$PROJECT/systemd/$unit" "/etc/systemd/system/$unit"; done
systemd-sysusers "$PROJECT/systemd/sekisho.sysusers.conf"
for unit in "${units[@]}"; do
  said=$(systemd-analyze verify "/etc/systemd/system/$unit" 2>&1 || true)
  same "systemd-analyze verify $unit" '' "$said"
done
score=$(systemd-analyze security --offline=yes /etc/systemd/system/sekisho.service 2>/dev/null | tail -n 1)
note "$score"
score=$(systemd-analyze security --offline=yes /etc/systemd/system/sekisho-selftest.service 2>/dev/null | tail -n 1)
note "self-test: $score"
systemd-analyze calendar --iterations=1 "$(sed -n 's/^OnCalendar=//p' "$PROJECT/systemd/sekisho-selftest.timer")" > /dev/null
