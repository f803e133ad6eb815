# Every wrong way to name a result folder: a clear message, exit code 2, nothing on stdout.
mkdir empty.hone broken.hone
printf 'SQLite format 3' > broken.hone/archive.db
printf '#pragma hone size n=4\n' > task.cu
for command in log show diff; do
    for what in absent.hone empty.hone task.cu broken.hone; do
        hone $command $what; echo "$command $what: $?"
    done
done
hone report absent.hone; echo "report: $?"
hone report broken.hone; echo "report: $?"
hone export empty.hone out; echo "export: $?"
hone export broken.hone; echo "export: $?"
hone log; echo "log: $?"
hone diff a b c d; echo "diff: $?"
hone log absent.hone --json | python3 -c "import json,sys; d=json.load(sys.stdin); print(d['schema'], d['error']['code'])"
printf '{"schema": "something"}' > other.json
hone check --certificate other.json; echo "certificate: $?"
printf 'no json' > no.json
hone check --certificate no.json; echo "certificate: $?"
hone check --certificate absent.json; echo "certificate: $?"
ls
