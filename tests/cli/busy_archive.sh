hone optimize "$TESTS/data/rows.cu" --evals 400 --seed 1 --device virtual:h200 --out run.hone --quiet >/dev/null 2>&1 &
pid=$!
for i in $(seq 100); do [ -s run.hone/archive.db ] && break; sleep 0.1; done
hone optimize "$TESTS/data/rows.cu" --evals 4 --seed 1 --device virtual:h200 --out run.hone --quiet
code=$?
kill -INT $pid
wait $pid
echo "interrupted run: $?"
exit $code
