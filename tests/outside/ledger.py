"""Reads a ledger as a stranger would: JSON lines and nothing else."""

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
    {"killed": killed, "synced": synced, "silent": silent}[sys.argv[1]](*sys.argv[2:])
