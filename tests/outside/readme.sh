# The README is true: its fenced `sh` commands, in order, in a fresh directory.
python3 - "$PROJECT/README.md" > commands <<'PY'
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
# The two commands of the first section are run by .ci/run; installing packages is what tests/outside/run has done.
blocks = re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M)
assert len(blocks) > 4, "the README has too few commands to be read by"
print("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT")
for block in blocks:
    print(block)
PY
export PATH=$(dirname "$SEKISHO"):$PATH
bash -euxo pipefail commands
