# Killed with SIGKILL at random moments and started again, a run ends with the same best as an undisturbed one; the archive is valid after every kill.
# KILLS=50 tests/cli/run.sh … is the long version (make soak).
budget="--evals 12 --seed 5 --device virtual:h200 --workers 1 --quiet --json"
best() { python3 -c 'import json,sys; r=json.load(open(sys.argv[1]+"/result.json")); b=r["best"]; print(b and (b["id"], b["time_us"], b["text"]), r["evaluations"])' "$1"; }
hone optimize "$TESTS/data/rows.cu" $budget --out calm.hone >/dev/null; calm=$?
for i in $(seq "${KILLS:-5}"); do
    hone optimize "$TESTS/data/rows.cu" $budget --out storm.hone >/dev/null 2>&1 &
    pid=$!
    sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ ! -f storm.hone/archive.db ] || hone log storm.hone >/dev/null || { echo "archive invalid after kill $i"; exit 1; }
done
hone optimize "$TESTS/data/rows.cu" $budget --out storm.hone >/dev/null; storm=$?
[ $calm = $storm ] || { echo "exit codes differ: $calm, $storm"; exit 1; }
[ "$(best calm.hone)" = "$(best storm.hone)" ] || { echo "different best"; best calm.hone; best storm.hone; exit 1; }
echo same best
