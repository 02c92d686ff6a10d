"""Reads a ledger as a stranger would: JSON lines and nothing else."""

import base64
import collections
import hashlib
import json
import pathlib
import re
import sys


def entries(directory):
    found, expected = [], None
    for segment in sorted(pathlib.Path(directory).glob("*.jsonl")):
        for line in segment.read_text().splitlines():
            entry = json.loads(line)
            assert expected in (None, entry["seq"]), f"{segment}: {entry['seq']} follows {expected - 1}"
            expected = entry["seq"] + 1
            found.append(entry)
    return found


def killed(directory, ports, kills):
    """Every peer port that the upstream saw is in a *dialled* entry whose connection has *opened*."""
    all_entries = entries(directory)
    opened = {(e["boot"], e["connection"]) for e in all_entries if e["kind"] == "opened"}
    dialled = {}
    for entry in all_entries:
        if entry["kind"] == "dialled":
            assert (entry["boot"], entry["connection"]) in opened, f"dialled without opened: {entry}"
            dialled.setdefault(int(entry["facts"]["local"].rsplit(":", 1)[1]), entry)
    seen = [int(line) for line in pathlib.Path(ports).read_text().split()]
    missing = [port for port in seen if port not in dialled]
    assert seen, "the upstream saw nobody"
    assert not missing, f"the upstream saw ports that the ledger has not dialled: {missing}"
    gaps = [e for e in all_entries if e["kind"] == "gap"]
    assert len(gaps) >= int(kills), f"{kills} kills, {len(gaps)} gap entries"
    boots = sorted({e["boot"] for e in all_entries})
    assert len(boots) == int(kills) + 1, f"boots {boots}"
    print(f"note: {kills} kills, {len(seen)} upstream connections seen, all dialled and opened; {len(gaps)} gap entries")


def synced(log, address, port):
    """For every connect: the write of its *dialled* entry, then a fdatasync of the same file, returned before it."""
    calls = pathlib.Path(log).read_text(errors="replace").splitlines()
    pending, written, durable, local_of, checked = {}, {}, set(), {}, 0
    written_since = {}
    for line in calls:
        thread, rest = line.split(None, 1)
        if rest.endswith("<unfinished ...>"):
            head = rest[: -len("<unfinished ...>")].rstrip()
            pending[thread] = (head, set(written_since.get(number(head), ())) if head.startswith("fdatasync") else None)
            if not head.startswith("connect"):
                continue
            rest = head
        elif rest.startswith("<... "):
            head, covered = pending.pop(thread, ("", None))
            tail = rest.split("resumed>", 1)[1]
            if head.startswith("connect"):
                continue
            rest = head + tail
            if head.startswith("fdatasync") and tail.rstrip().endswith("= 0"):
                durable |= covered
                continue
        if rest.startswith(("write", "pwrite")):
            descriptor = number(rest)
            for local in re.findall(r'\\"local\\":\\"[0-9.]+:(\d+)\\"', rest):
                written_since.setdefault(descriptor, set()).add(local)
        elif rest.startswith("fdatasync") and rest.rstrip().endswith("= 0"):
            durable |= written_since.get(number(rest), set())
        elif rest.startswith("getsockname"):
            found = re.search(r"sin_port=htons\((\d+)\)", rest)
            if found:
                local_of[(thread, number(rest))] = found.group(1)
        elif rest.startswith("connect") and f"htons({port})" in rest and f'"{address}"' in rest:
            local = local_of.get((thread, number(rest)))
            assert local, f"connect of an unbound socket: {rest}"
            assert local in durable, f"port {local} connected before its entry was synced"
            checked += 1
    assert checked >= 5, f"only {checked} connects were seen"
    print(f"note: {checked} connects, each after the fdatasync that covers its opened and dialled entries")


def root(leaves):
    """MTH of RFC 6962, as it is defined."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()


def signed(directory):
    """Every checkpoint is the root of so many lines; gives how many the newest covers, and how many there are."""
    lines = b"".join(segment.read_bytes() for segment in sorted(pathlib.Path(directory).glob("*.jsonl")))
    leaves = [hashlib.sha256(b"\x00" + line).digest() for line in lines.splitlines()]
    notes = (pathlib.Path(directory) / "checkpoints").read_text().split("\n\n")[:-1:2]
    for note in notes:
        _, size, head = note.split("\n")
        assert root(leaves[: int(size)]) == base64.b64decode(head), f"the root of {size} entries is another"
    return int(notes[-1].split("\n")[1]), len(notes)


def asked(all_entries):
    return [e["facts"] for e in all_entries if e["kind"] == "operation" and e["facts"]["call"] == "status"]


def accounted(directory, calls, name):
    """Each call is an entry or is counted in a gap entry, and a stop has signed all of it."""
    all_entries = entries(directory)
    gaps = [e for e in all_entries if e["kind"] == "gap"]
    assert gaps and all(e["facts"]["cause"] == "unwritable" for e in gaps), f"gaps: {gaps}"
    assert all(e["facts"]["since"] <= e["at"] for e in gaps), f"gaps: {gaps}"
    kept, lost = len(asked(all_entries)), sum(e["facts"]["lost"] for e in gaps)
    assert lost > 0, "nothing was lost: the fault did not show"
    # What was waived under `continue` although it reached the disk later is counted as lost all the same.
    assert kept <= int(calls) <= kept + lost, f"{calls} calls, {kept} entries, {lost} counted as lost"
    covered, checkpoints = signed(directory)
    assert covered == len(all_entries), f"{covered} of {len(all_entries)} entries are signed"
    print(f"note: {name}: {calls} calls, {kept} entries, {lost} counted as lost in {len(gaps)} gaps; {checkpoints} checkpoints")


def survived(directory, answered):
    """Every answered call is an entry, every kill is a gap entry, every checkpoint holds."""
    all_entries = entries(directory)
    kept = collections.Counter(facts["pid"] for facts in asked(all_entries))
    calls = collections.Counter(int(line) for line in pathlib.Path(answered).read_text().split())
    missing = calls - kept
    assert calls.total() > 100, f"only {calls.total()} calls were answered"
    assert not missing, f"answered and not recorded: {missing}"
    boots = {e["boot"] for e in all_entries}
    ended = {e["boot"] for e in all_entries if e["kind"] == "stop"}
    unclean = [e for e in all_entries if e["kind"] == "gap" and e["facts"]["cause"] == "unclean stop"]
    assert len(unclean) == len(boots - ended), f"{len(boots)} boots, {len(ended)} stops, {len(unclean)} gaps"
    covered, checkpoints = signed(directory)
    assert covered == len(all_entries), f"{covered} of {len(all_entries)} entries are signed"
    print(f"note: {len(unclean)} kills, {calls.total()} answered calls, all recorded; {len(all_entries)} entries under {checkpoints} checkpoints")


def number(call):
    return re.match(r"\w+\((\d+)", call).group(1)


def silent(*paths):
    """No individual number of the list on stdin stands in any of the files."""
    needles = [needle for needle in sys.stdin.read().split("\n") if needle]
    for path in paths:
        files = [p for p in pathlib.Path(path).rglob("*") if p.is_file()] if pathlib.Path(path).is_dir() else [pathlib.Path(path)]
        for file in files:
            data = file.read_bytes()
            for needle in needles:
                assert bytes.fromhex(needle) not in data, f"{file} holds {needle}"
    print(f"note: {len(needles)} forms in none of the files")


if __name__ == "__main__":
    {"killed": killed, "synced": synced, "silent": silent, "accounted": accounted, "survived": survived}[sys.argv[1]](*sys.argv[2:])
