# The law in the kernel: three network namespaces (the union's side, the box, the centre's side), the ruleset of `sekisho
# nft` in the box's, real connections over a table of flows. The same table is put to the law as scenarios, so that
# kernel and law are seen to agree.
. "$OUTSIDE/bench.sh"
ns=sekisho-$$
finish_namespaces() {
  finish
  for side in union box center; do ip netns delete "$ns-$side" 2>/dev/null || true; done
}
trap finish_namespaces EXIT
for side in union box center; do ip netns add "$ns-$side"; ip -n "$ns-$side" link set lo up; done
ip link add "u$$" netns "$ns-union" type veth peer name eth0 netns "$ns-box"
ip link add "c$$" netns "$ns-center" type veth peer name eth1 netns "$ns-box"
on() { local side=$1; shift; ip netns exec "$ns-$side" "$@"; }
on box ip link set eth0 up; on box ip link set eth1 up
on union ip link set "u$$" up; on center ip link set "c$$" up
on box ip address add 10.13.0.1/16 dev eth0
on box ip address add 10.200.0.2/8 dev eth1
for address in 10.13.10.5/16 10.13.20.3/16 10.13.77.7/16; do on union ip address add "$address" dev "u$$"; done
on union ip address add 10.210.0.8/32 dev "u$$"
for address in 10.200.1.10/8 10.201.1.10/8 10.200.9.9/8 10.210.0.9/8; do on center ip address add "$address" dev "c$$"; done
on union ip route add default via 10.13.0.1
on center ip route add 10.13.0.0/16 via 10.200.0.2
on box ip route add 10.210.0.8/32 dev eth0
on box sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.eth1.rp_filter=0

cp -r "$PROJECT/policies/tokyo" tokyo
cp "$PROJECT/policies/tokyo.appliance.yaml" box.yaml
"$SEKISHO" nft -c box.yaml --user 4711 --union eth0 > once
"$SEKISHO" nft -c box.yaml --user 4711 --union eth0 > twice
cmp once twice
# Checked, loaded, and loaded again over itself: one step each, and nothing of the first is left behind.
on box nft -c -f once
on box nft -f once
on box nft -f once
same 'tables' 'table inet sekisho' "$(on box nft list tables)"
NS=$ns SEKISHO=$SEKISHO /usr/bin/python3 "$OUTSIDE/nft.py"
