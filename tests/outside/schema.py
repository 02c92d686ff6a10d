"""Validates the shipped policies by the JSON Schemas, and shows that the schemas refuse what they should."""
import copy
import json
import pathlib
import sys

import yaml
from jsonschema import Draft202012Validator


class Reader(yaml.SafeLoader):
    """YAML 1.2 as the program reads it: dates and `yes` are texts."""


Reader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":bool"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Reader.add_implicit_resolver("tag:yaml.org,2002:bool", __import__("re").compile("^(true|false)$"), list("tf"))

policies = pathlib.Path(sys.argv[1])
schemas = {name: json.load(open(f"{name}.json")) for name in ("law", "box")}
for schema in schemas.values():
    Draft202012Validator.check_schema(schema)


def errors(name, document):
    return [error.message for error in Draft202012Validator(schemas[name]).iter_errors(document)]


def read(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema="), path
    named = (path.parent / text.splitlines()[0].split("=", 1)[1]).resolve()
    assert named.is_file(), f"{path} names {named}"
    return named.name.split(".")[0], yaml.load(text, Reader)


shipped = sorted(policies.glob("*/*.yaml")) + sorted(policies.glob("*.yaml"))
assert len(shipped) >= 9, shipped
law = {}
for path in shipped:
    name, document = read(path)
    found = errors(name, document)
    assert not found, f"{path}: {found}"
    if path.parent.name == "tokyo":
        law.update(document)
box = read(policies / "tokyo.appliance.yaml")[1]


def refused(name, document, *keys, value):
    wrong = copy.deepcopy(document)
    place = wrong
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    assert errors(name, wrong), f"{keys} = {value!r} is not refused"


table = [
    ("law", law, ("rules", "register", "form"), ["existing-system"]),
    ("law", law, ("rules", "register", "from"), []),
    ("law", law, ("rules", "register", "from"), "existing-system"),
    ("law", law, ("rules", "register", "protocol"), "http"),
    ("law", law, ("rules", "register", "idle_timeout"), 120),
    ("law", law, ("rules", "register", "upgrade"), "yes"),
    ("law", law, ("rules", "register", "individual_number"), None),
    ("law", law, ("rules", "Register"), law["rules"]["register"]),
    ("law", law, ("systems", "existing-system", "side"), "centre"),
    ("law", law, ("sites", "tokyo", "country"), "jp"),
    ("law", law, ("guardrails", "encryption", "tls"), [1.3]),
    ("law", law, ("interconnection", "connection_date"), "2020/06/15"),
    ("law", law, ("scenarios", 0, "expect", "deny"), "pathh"),
    ("law", law, ("version",), 2),
    ("box", box, ("ledger", "when_unwritable"), "drop"),
    ("box", box, ("limits", "header_size"), "64KB"),
    ("box", box, ("limits", "connections"), 0),
    ("box", box, ("listeners", "union-lan", "mode"), None),
    ("box", box, ("listner",), {}),
]
for name, document, keys, value in table:
    refused(name, document, *keys, value=value)
print(f"note: {len(shipped)} shipped files are valid, {len(table)} wrong edits are refused")
