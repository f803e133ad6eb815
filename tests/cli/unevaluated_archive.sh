# Archives of runs killed before their first evaluation, at three moments: they are valid and empty, and the same command goes on from them.
hone optimize "$TESTS/data/rows.cu" --evals 1 --seed 1 --device virtual:h200 --workers 1 --quiet --out made.hone >/dev/null
strip() { python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for table in sys.argv[2:]: db.execute("DELETE FROM " + table)
db.commit()
db.execute("PRAGMA wal_checkpoint(TRUNCATE)")' "$@"; }
mkdir file.hone schema.hone run.hone
: > file.hone/archive.db
cp made.hone/archive.db* run.hone/
strip run.hone/archive.db fact sample finding candidate text
cp run.hone/archive.db* schema.hone/
strip schema.hone/archive.db run
for what in file schema run; do
    hone log $what.hone; echo "log $what: $?"
    hone log $what.hone --json | python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["candidates"], d["finished"])'
    hone show $what.hone baseline; echo "show $what: $?"
    hone optimize "$TESTS/data/rows.cu" --evals 1 --seed 1 --device virtual:h200 --workers 1 --quiet --out $what.hone >/dev/null
    hone log $what.hone --json | python3 -c 'import json, sys; d = json.load(sys.stdin); print(len(d["candidates"]), d["finished"])'
done
