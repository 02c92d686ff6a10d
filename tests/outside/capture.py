"""What `sekisho capture` says, read as a stranger would, beside what tshark says of the same packets."""

import collections
import json
import pathlib
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
    """Both runs found the same connections."""
    def flows(path):
        return sorted((f["initiator"], f["responder"], f["first_packet"], f["verdict"], f["bytes_to_responder"]) for f in lines(path, "flow"))
    assert flows(one) == flows(other), "a compressed stream on standard input is judged otherwise"


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


def conversations(capture):
    """TCP and UDP conversations by tshark: ends, who began, server name, payload bytes each way, each byte once."""
    command = ["tshark", "-n", "-r", capture, "-T", "fields", "-E", "occurrence=l", "-E", "separator=/t",
               "-o", "tcp.desegment_tcp_streams:TRUE"]
    for field in FIELDS:
        command += ["-e", field]
    output = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout
    found = {}
    for line in output.splitlines():
        row = dict(zip(FIELDS, line.split("\t")))
        layers = row.get("frame.protocols", "").split(":")
        kind = "tcp" if row.get("tcp.srcport") else "udp" if row.get("udp.srcport") else None
        # A quoted packet in an ICMP error is no conversation.
        if kind is None or "icmp" in layers or "icmpv6" in layers or kind not in layers:
            continue
        before = [layer for layer in layers[: len(layers) - layers[::-1].index(kind)] if layer in ("ip", "ipv6")]
        if not before:
            continue
        ip = before[-1]
        source = address(row[f"{ip}.src"], row[f"{kind}.srcport"])
        target = address(row[f"{ip}.dst"], row[f"{kind}.dstport"])
        one = found.setdefault((kind, row[f"{kind}.stream"]), {
            "kind": kind, "began": source, "other": target, "syn": False, "sent": collections.defaultdict(list), "udp": collections.Counter(), "name": None})
        if kind == "tcp" and truthy(row["tcp.flags.syn"]) and not one["syn"]:
            begins = not truthy(row["tcp.flags.ack"])
            one["began"], one["other"] = (source, target) if begins else (target, source)
            one["syn"] = True
        if row["tls.handshake.extensions_server_name"] and kind == "tcp":
            one["name"] = row["tls.handshake.extensions_server_name"].lower()
        if kind == "tcp":
            length, seq = int(row["tcp.len"] or 0), int(row["tcp.seq_raw"] or 0) + truthy(row["tcp.flags.syn"])
            if length:
                one["sent"][source].append(unwrapped(one["sent"][source], seq, length))
        else:
            one["udp"][source] += max(int(row["udp.length"] or 8) - 8, 0)
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


def address(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def compare(flows, capture):
    """Differences between our flows of one file and tshark's; a flow is known by its two ends."""
    ours = collections.defaultdict(list)
    for flow in flows:
        if flow["protocol"] in ("tcp", "udp") and flow.get("outside") != "carrier":
            ends = (flow["protocol"], frozenset((flow["initiator"], flow["responder"])))
            ours[ends].append((flow["initiator"], flow["server_name"], flow["bytes_to_responder"], flow["bytes_to_initiator"]))
    theirs = collections.defaultdict(list)
    for kind, began, other, name, there, back in conversations(capture):
        theirs[(kind, frozenset((began, other)))].append((began, name, there, back))
    table = collections.Counter()
    differences = []
    for ends in ours.keys() | theirs.keys():
        mine, his = ours.get(ends, []), theirs.get(ends, [])
        table["ours"] += len(mine)
        table["tshark"] += len(his)
        if not mine or not his:
            table["only ours" if mine else "only tshark"] += len(mine or his)
            differences.append(("flow", ends, mine, his))
            continue
        table["both"] += min(len(mine), len(his))
        began = {it[0] for it in his}
        initiators = {it[0] for it in mine} == began
        table["initiator"] += initiators
        if not initiators:
            differences.append(("initiator", ends, mine, his))
        if any(it[1] for it in his):
            named = {it[1] for it in mine} == {it[1] for it in his}
            table["server names"] += 1
            table["server names equal"] += named
            if not named:
                differences.append(("name", ends, mine, his))
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
    {"lab": lab, "forgotten": forgotten, "same": same, "tshark": tshark, "folder": folder}[sys.argv[1]](*sys.argv[2:])
