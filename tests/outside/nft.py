"""Real connections over a table of flows, and the same table put to the law."""
import ctypes
import os
import re
import socket
import subprocess
import sys
import threading

NS = os.environ["NS"]
USER = 4711

# Where the connection comes out, or that it comes out nowhere: `union-lan`, `center-guard`, `open` (an endpoint), `none`.
# Then what the law says of it, as a scenario: the flow's facts and the answer.
FLOWS = [
    ("union", "10.13.10.5", "10.13.0.1", 8443, "union-lan", "from: 10.13.10.5, listener: union-lan", "allow: register"),
    ("union", "10.13.20.3", "10.13.0.1", 8443, "union-lan", "from: 10.13.20.3, listener: union-lan", "allow: inquire"),
    # The listener sees it, refuses it and records it.
    ("union", "10.13.77.7", "10.13.0.1", 8443, "union-lan", "from: 10.13.77.7, listener: union-lan", "deny: unknown_source"),
    ("union", "10.13.10.5", "10.13.0.1", 22, "none", None, None),
    ("union", "10.13.10.5", "10.200.1.10", 443, "none", None, None),
    ("union", "10.210.0.8", "10.13.0.1", 22, "none", "from: 10.210.0.8", "deny: reverse_access"),
    ("center", "10.210.0.9", "10.200.0.2", 443, "center-guard", "from: 10.210.0.9, listener: center-guard", "deny: reverse_access"),
    ("center", "10.210.0.9", "10.200.0.2", 22, "center-guard", "from: 10.210.0.9, listener: center-guard", "deny: reverse_access"),
    ("center", "10.210.0.9", "10.13.0.1", 8443, "center-guard", "from: 10.210.0.9, listener: center-guard", "deny: reverse_access"),
    ("center", "10.210.0.9", "10.13.10.5", 443, "center-guard", "from: 10.210.0.9, to_address: \"10.13.10.5:443\"", "deny: reverse_access"),
    ("center", "10.200.9.9", "10.13.10.5", 443, "center-guard", "from: 10.200.9.9, listener: center-guard", "deny: unknown_source"),
    ("center", "10.200.1.10", "10.200.0.2", 9617, "center-guard", "from: 10.200.1.10", "deny: no_rule"),
    ("box", "10.200.0.2", "10.200.1.10", 443, "open", "from: 10.13.10.5, endpoint: \"10.200.1.10:443\"", "allow: register"),
    ("box", "10.200.0.2", "10.201.1.10", 443, "open", "from: 10.13.10.5, declared: [dr-osaka], endpoint: \"10.201.1.10:443\"", "allow: register"),
    ("box", "10.200.0.2", "10.200.1.10", 80, "none", "from: 10.13.10.5, endpoint: \"10.200.1.10:80\"", "deny: country_unknown"),
    ("box", "10.200.0.2", "10.200.9.9", 443, "none", "from: 10.13.10.5, endpoint: \"10.200.9.9:443\"", "deny: country_unknown"),
    ("box", "10.13.0.1", "10.13.77.7", 443, "none", "from: 10.13.10.5, endpoint: \"10.13.77.7:443\"", "deny: country_unknown"),
]


def enter(side):
    """This thread goes into a namespace; sockets that it makes live there."""
    descriptor = os.open(f"/run/netns/{NS}-{side}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(descriptor)


def serve(side, address, port, name, ready):
    enter(side)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(16)
        ready.release()
        while True:
            connection, _ = listener.accept()
            connection.sendall(name.encode())
            connection.close()


servers = [
    ("box", "10.13.0.1", 8443, "union-lan"),
    ("box", "10.200.0.2", 443, "center-guard"),
    ("box", "0.0.0.0", 22, "box"),
    ("box", "10.200.0.2", 9617, "box"),
    ("union", "10.13.10.5", 443, "union"),
    ("union", "10.13.77.7", 443, "union"),
    ("center", "10.200.1.10", 443, "open"),
    ("center", "10.201.1.10", 443, "open"),
    ("center", "10.200.1.10", 80, "center"),
    ("center", "10.200.9.9", 443, "center"),
]
ready = threading.Semaphore(0)
for server in servers:
    threading.Thread(target=serve, args=(*server, ready), daemon=True).start()
for _ in servers:
    assert ready.acquire(timeout=5), "a server did not start"

ATTEMPT = """
import socket, sys
source, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
with socket.socket() as s:
    s.settimeout(1.5)
    s.bind((source, 0))
    try:
        s.connect((address, port))
        print(s.recv(64).decode())
    except OSError:
        print("none")
"""


def attempt(side, source, address, port):
    command = ["ip", "netns", "exec", f"{NS}-{side}"]
    if side == "box":
        command += ["setpriv", f"--reuid={USER}", "--clear-groups"]
    done = subprocess.run([*command, sys.executable, "-c", ATTEMPT, source, address, str(port)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


wrong = []
for side, source, address, port, expected, _, _ in FLOWS:
    happened = attempt(side, source, address, port)
    if happened != expected:
        wrong.append(f"{side} {source} -> {address}:{port}: expected {expected}, happened {happened}")
assert not wrong, "\n".join(wrong)


def counter(name):
    text = subprocess.run(["ip", "netns", "exec", f"{NS}-box", "nft", "list", "counter", "inet", "sekisho", name], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"packets (\d+)", text).group(1))


# One for each that found no refusing listener, and the one of the union's side.
assert counter("reverse_online_eligibility") >= 4, counter("reverse_online_eligibility")
assert counter("redirected") >= 5, counter("redirected")
assert counter("outward") >= 3, counter("outward")
assert counter("forwarded") >= 1, counter("forwarded")

# The same table as scenarios of the same law: an allow comes out where it should, a deny at most at a listener.
with open("tokyo/90-kernel.yaml", "w", encoding="utf-8") as law:
    law.write("version: 1\nscenarios:\n")
    judged = [row for row in FLOWS if row[5]]
    for side, source, address, port, outcome, facts, answer in judged:
        law.write(f"  - title: {side} {source} to {address} port {port}\n    flow: {{ {facts} }}\n    expect: {{ {answer} }}\n")
        if answer.startswith("allow"):
            assert outcome in ("union-lan", "open"), (source, address, outcome)
        else:
            assert outcome != "open", (source, address, outcome)
done = subprocess.run([os.environ["SEKISHO"], "check", "-p", "tokyo"], capture_output=True, text=True)
assert done.returncode == 0, done.stdout[-3000:]
print(f"note: {len(FLOWS)} connections came out as expected, the law says the same of {len(judged)}")
