"""An upstream of our own for the tests: notes the port of every peer before a TLS byte, then demands a certificate."""

import socket
import ssl
import sys
import threading

address, port, chain, key, authority, ports = sys.argv[1:7]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(chain, key)
context.load_verify_locations(authority)
context.verify_mode = ssl.CERT_REQUIRED

listener = socket.create_server((address, int(port)), backlog=1024)


def serve(raw):
    try:
        raw.settimeout(10)
        with context.wrap_socket(raw, server_side=True) as stream:
            stream.sendall(stream.recv(4096) or b"")
    except OSError:
        pass


with open(ports, "w", buffering=1) as witness:
    while True:
        raw, peer = listener.accept()
        witness.write(f"{peer[1]}\n")
        threading.Thread(target=serve, args=(raw,), daemon=True).start()
