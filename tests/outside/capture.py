"""What `sekisho capture` says, read as a stranger would, beside what tshark says of the same packets."""

import collections
import ipaddress
import json
import pathlib
import struct
import subprocess
import sys


def lines(path, kind):
    return [line for line in map(json.loads, pathlib.Path(path).read_text().splitlines()) if line["kind"] == kind]


def lab(path):
    """The lab's forbidden attempts are found, everything is judged, and nothing went by the ledger."""
    coverage, = lines(path, "coverage")
    assert coverage["complete"], coverage
    assert not coverage["unjudged"], coverage["unjudged"]
    violations = lines(path, "violation")
    reverse = [it for it in violations if it["reason"] == "reverse_access"]
    assert len(reverse) >= 2, f"the lab reaches back twice by address, found {len(reverse)}"
    assert all(it["clause"] == "別添1(2)1" and it["from"] == "online-eligibility" for it in reverse), reverse
    assert any(it["reason"] == "unknown_source" for it in violations), "the lab knocks as a stranger"
    ledger = coverage["ledger"]
    assert ledger["bypassed"] == 0 and ledger["unseen"] == 0, ledger
    assert ledger["recorded"] > 10 and ledger["matched"] > 10, ledger
    by_reason = collections.Counter(it["reason"] for it in violations)
    print(f"note: {coverage['packets']} packets, {coverage['connections']} connections, all judged; violations {dict(by_reason)}")
    print(f"note: ledger: {ledger['recorded']} recorded, {ledger['matched']} of {ledger['entries']} entries with packets, no bypass")


def forgotten(path):
    """Without its *dialled* entries the ledger does not know the box's own legs."""
    bypasses = [it for it in lines(path, "violation") if it["violation"] == "bypass"]
    assert bypasses and all(it["leg"] == "outbound" for it in bypasses), bypasses
    print(f"note: {len(bypasses)} of the box's own connections found as bypass where the ledger was robbed of them")


def same(one, other):
    """Both runs found the same connections, whatever carried them."""
    def flows(path):
        return sorted((f["initiator"], f["responder"], f["first_packet"], f["verdict"], f["bytes_to_responder"], f["server_name"] or "")
                      for f in lines(path, "flow") if f.get("outside") != "carrier")
    assert flows(one) and flows(one) == flows(other), f"{one} and {other} are judged otherwise"


def pipe(path):
    """Three attempts that nobody answered, straight from tcpdump."""
    coverage, = lines(path, "coverage")
    assert coverage["complete"] and coverage["packets"] == 6 and coverage["connections"] == 3, coverage
    flows = lines(path, "flow")
    assert all(f["responder"] == "127.0.0.77:9" and f["state"] == "refused" and f["verdict"] == "deny" for f in flows), flows
    print("note: a pipe from tcpdump: 3 refused attempts, all judged")


def outer(protocol, payload):
    """An IPv4 datagram between two ends of a tunnel."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, bytes([198, 51, 100, 1]), bytes([198, 51, 100, 2]))
    total = sum(struct.unpack("!10H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + payload


def datagram(port, payload):
    return outer(17, struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload)


CARRIERS = (
    lambda mac, ip, frame: mac + struct.pack("!HHHHH", 0x88A8, 7, 0x8100, 9, 0x0800) + ip,
    lambda mac, ip, frame: mac + b"\x88\x47" + struct.pack("!II", 16 << 12 | 64, 17 << 12 | 0x100 | 64) + ip,
    lambda mac, ip, frame: mac + b"\x88\x64" + struct.pack("!BBHHH", 0x11, 0, 1, len(ip) + 2, 0x21) + ip,
    lambda mac, ip, frame: mac + b"\x08\x00" + outer(47, b"\0\0\x08\0" + ip),
    lambda mac, ip, frame: mac + b"\x08\x00" + outer(47, b"\x10\0\x88\xbe" + struct.pack("!I", 1) + b"\x10\0\0\0" + bytes(4) + frame),
    lambda mac, ip, frame: mac + b"\x08\x00" + outer(4, ip),
    lambda mac, ip, frame: mac + b"\x08\x00" + datagram(4789, struct.pack("!II", 8 << 24, 42 << 8) + frame),
    lambda mac, ip, frame: mac + b"\x08\x00" + datagram(6081, struct.pack("!HHI", 0, 0x6558, 42 << 8) + frame),
)


def wrap(capture, wrapped):
    """The same packets, each connection in tags, labels or a tunnel of its own kind; what would not fit into an IPv4 datagram in tags."""
    data = pathlib.Path(capture).read_bytes()
    assert data[:4] == b"\xd4\xc3\xb2\xa1" and data[20:24] == b"\1\0\0\0", "a classic file of Ethernet frames"
    # In turn: by their ports, which the system chose, one lab in seven had no connection for one of the kinds.
    out, at, used, turns = [data[:24]], 24, collections.Counter(), {}
    while at < len(data):
        time, length = data[at:at + 8], int.from_bytes(data[at + 8:at + 12], "little")
        frame = data[at + 16:at + 16 + length]
        at += 16 + length
        if frame[12:14] == b"\x08\x00":
            ends = sorted((frame[26:30] + frame[34:36], frame[30:34] + frame[36:38]))
            turn = turns.setdefault(b"".join(ends), len(turns) % len(CARRIERS))
            kind = turn if length < 65_000 else 0
            used[kind] += 1
            frame = CARRIERS[kind](frame[:12], frame[14:], frame)
        out.append(time + struct.pack("<II", len(frame), len(frame)) + frame)
    assert len(used) == len(CARRIERS), f"not every carrier was used: {used}"
    pathlib.Path(wrapped).write_bytes(b"".join(out))


FIELDS = (
    "frame.number frame.protocols tcp.stream udp.stream ip.src ip.dst ipv6.src ipv6.dst tcp.srcport tcp.dstport udp.srcport udp.dstport "
    "tcp.flags.syn tcp.flags.ack tcp.seq_raw tcp.len udp.length tls.handshake.extensions_server_name"
).split()


def union(intervals):
    """The bytes that any of the intervals covers."""
    total, end = 0, None
    for start, stop in sorted(intervals):
        if end is None or start > end:
            total, end = total + stop - start, stop
        elif stop > end:
            total, end = total + stop - end, stop
    return total


def segments(capture):
    """Every TCP segment and UDP datagram that tshark found, also several in one frame: kind, source, target, fields."""
    command = ["tshark", "-n", "-r", capture, "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t",
               "-o", "tcp.desegment_tcp_streams:TRUE", "--enable-heuristic", "teredo_udp"]
    for field in FIELDS:
        command += ["-e", field]
    output = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout
    for line in output.splitlines():
        row = {field: value.split(",") if value else [] for field, value in zip(FIELDS, line.split("\t"))}
        layers = row["frame.protocols"][0].split(":")
        # A quoted packet in an ICMP error is no conversation.
        if "icmp" in layers or "icmpv6" in layers:
            continue
        turn = collections.Counter()
        for place, kind in enumerate(layers):
            if kind not in ("tcp", "udp") or turn[kind] >= len(row[f"{kind}.srcport"]):
                continue
            ip = next((layer for layer in reversed(layers[:place]) if layer in ("ip", "ipv6")), None)
            if ip is None:
                continue
            outer, nth = layers[:place].count(ip) - 1, turn[kind]
            turn[kind] += 1
            fields = {field: values[nth] if nth < len(values) else "" for field, values in row.items() if field.startswith(kind)}
            names = row["tls.handshake.extensions_server_name"] if kind == "tcp" else []
            ends = (address(row[f"{ip}.{end}"][outer], fields[f"{kind}.{end}port"]) for end in ("src", "dst"))
            yield kind, *ends, fields | {"name": names[-1].lower() if names else None}


def conversations(capture):
    """TCP and UDP conversations by tshark: ends, who began, server name, payload bytes each way, each byte once."""
    found = {}
    for kind, source, target, fields in segments(capture):
        one = found.setdefault((kind, fields[f"{kind}.stream"], frozenset((source, target))), {
            "kind": kind, "began": source, "other": target, "syn": False, "sent": collections.defaultdict(list), "udp": collections.Counter(), "name": None})
        if kind == "udp":
            one["udp"][source] += max(int(fields["udp.length"] or 8) - 8, 0)
            continue
        opening = truthy(fields["tcp.flags.syn"])
        if opening and not one["syn"]:
            one["began"], one["other"] = (target, source) if truthy(fields["tcp.flags.ack"]) else (source, target)
            one["syn"] = True
        one["name"] = fields["name"] or one["name"]
        length, seq = int(fields["tcp.len"] or 0), int(fields["tcp.seq_raw"] or 0) + opening
        if length:
            one["sent"][source].append(unwrapped(one["sent"][source], seq, length))
    for one in found.values():
        count = (lambda end: union(one["sent"][end])) if one["kind"] == "tcp" else (lambda end: one["udp"][end])
        yield one["kind"], one["began"], one["other"], one["name"], count(one["began"]), count(one["other"])


def unwrapped(intervals, seq, length):
    """Sequence numbers go round after 4 GiB."""
    if intervals:
        last = intervals[-1][1]
        seq += (last - seq + (1 << 31)) >> 32 << 32
    return (seq, seq + length)


def truthy(text):
    return text in ("1", "True", "true")


def is_address(text):
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def address(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def compare(flows, capture):
    """Differences between our flows of one file and tshark's; a flow is known by its two ends. A tunnel's own flow is only counted."""
    ours, inferred, carriers = collections.defaultdict(list), set(), set()
    for flow in flows:
        ends = (flow["protocol"], frozenset((flow["initiator"], flow["responder"])))
        if flow["inferred"]:
            inferred.add(ends)
        if flow.get("outside") == "carrier":
            carriers.add(ends)
        elif flow["protocol"] in ("tcp", "udp"):
            ours[ends].append((flow["initiator"], flow["server_name"], flow["bytes_to_responder"], flow["bytes_to_initiator"]))
    theirs = collections.defaultdict(list)
    for kind, began, other, name, there, back in conversations(capture):
        theirs[(kind, frozenset((began, other)))].append((began, name, there, back))
    table = collections.Counter()
    differences = []
    for ends in ours.keys() | theirs.keys():
        mine, his = ours.get(ends, []), theirs.get(ends, [])
        if not mine and ends in carriers:
            table["carriers"] += 1
            continue
        table["ours"] += len(mine)
        table["tshark"] += len(his)
        if not mine or not his:
            table["only ours" if mine else "only tshark"] += len(mine or his)
            differences.append(("flow", ends, mine, his))
            continue
        table["both"] += min(len(mine), len(his))
        if len(mine) != len(his):
            differences.append(("how many", ends, len(mine), len(his)))
        began = {it[0] for it in his}
        initiators = {it[0] for it in mine} == began
        table["initiator"] += initiators
        if not initiators:
            differences.append(("initiator" if ends not in inferred else "initiator, opening not captured", ends, mine, his))
        if any(it[1] for it in his):
            named = {it[1] for it in mine} == {it[1] for it in his}
            table["server names"] += 1
            table["server names equal"] += named
            if not named:
                literal = any(it[1] and is_address(it[1]) for it in his)
                differences.append(("name" if not literal else "name, an address is none", ends, mine, his))
        first = his[0][0]
        sums = [(sum(r[2] if r[0] == first else r[3] for r in rows), sum(r[3] if r[0] == first else r[2] for r in rows)) for rows in (mine, his)]
        table["pairs"] += 1
        table["bytes equal"] += sums[0] == sums[1]
        if sums[0] != sums[1]:
            differences.append(("bytes", ends, sums[0], sums[1]))
    return table, differences


def tshark(path, capture):
    """On a capture that the tests made, both say the same of every conversation."""
    table, differences = compare(lines(path, "flow"), capture)
    for difference in differences[:20]:
        print(difference)
    assert not differences, f"{len(differences)} differences: {dict(table)}"
    print(f"note: tshark: {table['both']} conversations, initiators, {table['server names']} server names and bytes each way equal")


def folder(directory, program, *arguments):
    """By hand: every capture in a directory, file by file, with the sum. `folder DIR SEKISHO capture -p LAW`."""
    total = collections.Counter()
    for file in sorted(p for p in pathlib.Path(directory).rglob("*") if p.is_file() and p.suffix not in (".md", ".jsonl")):
        out = subprocess.run([program, *arguments, "--format", "json", str(file)], capture_output=True, text=True).stdout
        flows = [line for line in map(json.loads, out.splitlines()) if line["kind"] == "flow"]
        table, differences = compare(flows, str(file))
        total += table
        for what, ends, mine, his in differences:
            print(f"{file.relative_to(directory)}\t{what}\t{ends[0]} {' '.join(sorted(ends[1]))}\tours {mine}\ttshark {his}")
    print(dict(total))


if __name__ == "__main__":
    {"lab": lab, "forgotten": forgotten, "same": same, "wrap": wrap, "pipe": pipe, "tshark": tshark, "folder": folder}[sys.argv[1]](*sys.argv[2:])
