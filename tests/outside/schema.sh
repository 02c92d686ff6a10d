# The schemas by a validator that is not ours: every shipped policy and box is valid, and edits that the reader refuses
# are refused by the schema too.
"$SEKISHO" schema > law.json
"$SEKISHO" schema box > box.json
cmp law.json "$PROJECT/policies/law.schema.json"
cmp box.json "$PROJECT/policies/box.schema.json"
/usr/bin/python3 "$OUTSIDE/schema.py" "$PROJECT/policies"
