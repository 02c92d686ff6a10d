"""A verifier that shares nothing with sekisho: written from RFC 6962, C2SP signed-note, tlog-checkpoint and tlog-proof
alone, with the standard library and Debian's python3-cryptography for Ed25519. Says `ok …` and ends with 0, or says why not
and ends with 3; 1 is a mistake of its own."""

import base64
import hashlib
import json
import pathlib
import subprocess
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

DASH = "\u2014 "


class Refused(Exception):
    """What is wrong."""


def decode(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused(f"no base64: {error}") from error
    # RFC 4648 §3.5: bits that stand for nothing must be zero, or one signature would have several texts.
    if base64.b64encode(data).decode() != text:
        raise Refused("no canonical base64")
    return data


# RFC 6962 §2.1: hashes of leaves and nodes.


def leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """The complete subtrees so far, the widest first, as (width, hash)."""

    def __init__(self):
        self.size, self.peaks = 0, []

    def append(self, entry):
        self.size += 1
        self.peaks.append((1, entry))
        while len(self.peaks) > 1 and self.peaks[-1][0] == self.peaks[-2][0]:
            (width, right), (_, left) = self.peaks.pop(), self.peaks.pop()
            self.peaks.append((2 * width, node(left, right)))

    def root(self):
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        *rest, (_, root) = self.peaks
        for _, left in reversed(rest):
            root = node(left, root)
        return root


def root_of_inclusion(index, size, hash_, path):
    """RFC 9162 §2.1.3.2, in the numbering of RFC 6962."""
    if index >= size:
        raise Refused("the tree has no such leaf")
    number, last = index, size - 1
    for sibling in path:
        if last == 0:
            raise Refused("the path is too long")
        if number & 1 or number == last:
            hash_ = node(sibling, hash_)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            hash_ = node(hash_, sibling)
        number, last = number >> 1, last >> 1
    if last:
        raise Refused("the path is too short")
    return hash_


# C2SP signed-note and tlog-checkpoint.


def key(text):
    """`name+hash+base64`, type 1: Ed25519."""
    name, hash_, encoded = text.strip().split("+", 2)
    typed = decode(encoded)
    if typed[:1] != b"\1" or len(typed) != 33:
        raise Refused("the key is no Ed25519 key")
    identity = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    if identity.hex() != hash_:
        raise Refused("the key's hash is wrong")
    return name, identity, Ed25519PublicKey.from_public_bytes(typed[1:])


def checkpoint(note, verifier):
    """Size and root of a note that the key signed."""
    name, identity, public = verifier
    text, separator, signatures = note.rpartition("\n\n")
    if not separator:
        raise Refused("a note has no signature")
    text += "\n"
    known = False
    for line in signatures.rstrip("\n").split("\n"):
        if not line.startswith(DASH):
            raise Refused("no signature line")
        signer, encoded = line[len(DASH) :].split(" ")
        signature = decode(encoded)
        if signer == name and signature[:4] == identity:
            try:
                public.verify(signature[4:], text.encode())
            except InvalidSignature as error:
                raise Refused("a signature is wrong") from error
            known = True
    if not known:
        raise Refused("a note is not signed by this key")
    origin, size, root, *_ = text.split("\n")
    if origin != name:
        raise Refused("a note is of another log")
    return int(size), decode(root)


def notes(path):
    """Notes one behind the other: a note ends with the last of its signature lines, and an empty line may follow."""
    found, ended = [], True
    for line in path.read_bytes().decode().split("\n"):
        signature = line.startswith(DASH)
        if ended and not signature:
            if not line:
                continue
            found.append([])
        found[-1].append(line)
        ended = signature
    return ["\n".join(note) + "\n" for note in found]


def lines(directory):
    """Every whole line in the order of the segments."""
    segments = {}
    for path in pathlib.Path(directory).iterdir():
        stem, _, form = path.name.partition(".")
        if form == "jsonl" or (form == "jsonl.zst" and int(stem) not in segments):
            segments[int(stem)] = path
    for _, path in sorted(segments.items()):
        data = path.read_bytes()
        if path.name.endswith(".zst"):
            done = subprocess.run(["zstd", "-dcq", path], capture_output=True, check=False)
            if done.returncode:
                raise Refused(f"{path.name} cannot be decompressed")
            data = done.stdout
        yield from data.split(b"\n")[:-1]


def ledger(directory, verifier):
    claims = [checkpoint(note, verifier) for note in notes(pathlib.Path(directory) / "checkpoints")]
    if not claims:
        raise Refused("nothing is signed")
    if claims != sorted(claims, key=lambda claim: claim[0]):
        raise Refused("the checkpoints go back")
    tree, due = Tree(), list(claims)
    for number, line in enumerate(lines(directory), start=1):
        try:
            seq = json.loads(line)["seq"]
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"entry {number} is no entry") from error
        if seq != number:
            raise Refused(f"entry {number} says that it is {seq}")
        tree.append(leaf(line))
        while due and due[0][0] == number:
            if due.pop(0)[1] != tree.root():
                raise Refused(f"the root of the first {number} entries is not the one that was signed")
    if due:
        raise Refused(f"{due[-1][0]} entries were signed, {tree.size} are there")
    return f"{len(claims)} checkpoints, {claims[-1][0]} of {tree.size} entries signed"


def proof(path, verifier):
    head, separator, note = pathlib.Path(path).read_text(encoding="utf-8").partition("\n\n")
    first, extra, index, *path_ = head.split("\n")
    if first != "c2sp.org/tlog-proof@v1" or not separator or not extra.startswith("extra ") or not index.startswith("index "):
        raise Refused("no proof")
    line, number = decode(extra[6:]), int(index[6:])
    size, root = checkpoint(note, verifier)
    if root_of_inclusion(number, size, leaf(line), [decode(hash_) for hash_ in path_]) != root:
        raise Refused("the entry is not in the tree that was signed")
    if json.loads(line)["seq"] != number + 1:
        raise Refused("the entry has another number than its leaf")
    return f"entry {number + 1} of {size}"


if __name__ == "__main__":
    what, where, verifier_key = sys.argv[1:]
    try:
        print("ok", {"ledger": ledger, "proof": proof}[what](where, key(verifier_key)))
    except Refused as refused:
        print("refused:", refused)
        sys.exit(3)
    except (ValueError, IndexError) as malformed:
        print("refused: malformed:", malformed)
        sys.exit(3)
