hone optimize "$TESTS/data/rows.cu" --evals 3 --seed 1 --device virtual:h200 --out run.hone --quiet >/dev/null
rm -f run.hone/archive.db-wal run.hone/archive.db-shm
head -c 5000 run.hone/archive.db > short && cp short run.hone/archive.db
hone optimize "$TESTS/data/rows.cu" --evals 3 --seed 1 --device virtual:h200 --out run.hone --quiet
