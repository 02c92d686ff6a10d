"""Sends synthetic individual numbers in every form and every place of a request, and prints the forms as hex needles."""

import base64
import gzip
import json
import socket
import ssl
import sys
import urllib.parse

NUMBERS = ["123456789018", "111111111118", "999999999996", "123456789050", "123456789140", "621498320257", "987654321093"]
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def forms(number):
    groups = [number[0:4], number[4:8], number[8:12]]
    yield number.encode()
    for joint in (" ", "-", "－", ".", "/"):
        yield joint.join(groups).encode()
    wide = number.translate(FULL_WIDTH)
    for encoding in ("utf-8", "cp932", "euc_jp", "utf-16-le", "utf-16-be"):
        yield wide.encode(encoding)
        yield number.encode(encoding)
    yield urllib.parse.quote(wide).encode()
    yield "".join(f"%{byte:02x}" for byte in number.encode()).encode()
    yield base64.b64encode(number.encode())
    yield base64.b64encode(wide.encode())


def printable(form):
    """A form as it can stand in a path: what is not a path character is escaped."""
    return urllib.parse.quote_from_bytes(form, safe="-.")


def context(directory, certificate):
    made = ssl.create_default_context(cafile=f"{directory}/union-ca.pem")
    made.load_cert_chain(f"{directory}/{certificate}.pem", f"{directory}/{certificate}.key")
    return made


def talk(directory, request, certificate="kizon", server_name="chukan.center.example"):
    """One connection, one request; what comes back, or nothing."""
    settings = context(directory, certificate)
    settings.check_hostname = False
    try:
        with socket.create_connection(("127.30.0.1", 8443), timeout=5) as raw:
            with settings.wrap_socket(raw, server_hostname=server_name) as stream:
                stream.sendall(request)
                answer = b""
                while chunk := stream.recv(65536):
                    answer += chunk
                return answer
    except OSError:
        return b""


def request(method=b"GET", path=b"/exchange/x", fields=b"", body=b""):
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    return (
        method + b" " + path + b" HTTP/1.1\r\nHost: chukan.center.example\r\nConnection: close\r\n" + length + fields + b"\r\n" + body
    )


def places(form):
    escaped = printable(form).encode()
    raw = form.replace(b"\r", b"").replace(b"\n", b"").replace(b" ", b"%20")
    yield request(path=b"/exchange/" + escaped)
    yield request(path=b"/exchange/" + raw + b"/x")
    yield request(path=b"/" + escaped)
    yield request(path=b"/exchange/x?number=" + escaped)
    yield request(path=b"/exchange/x?" + raw)
    yield request(fields=b"X-Number: " + form + b"\r\n")
    yield request(fields=b"Cookie: n=" + escaped + b"\r\n")
    yield request(fields=escaped + b": x\r\n")
    yield request(method=escaped)
    yield request(method=raw)
    yield request(fields=b"Host: " + escaped + b"\r\n")
    yield request(method=b"PUT", path=b"/exchange/stored", body=form)
    yield request(method=b"DELETE", path=b"/exchange/" + escaped, body=form)
    yield request(method=b"PUT", path=b"/exchange/stored.gz", fields=b"Content-Encoding: gzip\r\n", body=gzip.compress(form))
    yield request(method=b"PUT", path=b"/exchange/stored.json", body=json.dumps({"個人番号": form.decode("latin-1")}).encode())
    yield b"GET " + raw + b"\r\n\r\n"


def main(directory, answers):
    needles = []
    with open(answers, "wb") as kept:
        for number in NUMBERS:
            needles.extend(forms(number))
            for form in forms(number):
                for attempt in places(form):
                    kept.write(talk(directory, attempt).split(b"\r\n\r\n", 1)[-1])
            for server_name in (f"{number}.example", f"n{number[:6]}.n{number[6:]}.example", "-".join([number[:4], number[4:8], number[8:]]) + ".example"):
                kept.write(talk(directory, request(), server_name=server_name))
        for certificate in ("numbered", "numbered-name"):
            kept.write(talk(directory, request(), certificate=certificate))
    print("\n".join(needle.hex() for needle in needles))


if __name__ == "__main__":
    main(*sys.argv[1:])
