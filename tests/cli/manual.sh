# Candidates from people: the prompt, files that are taken, refused and known already; and a killed run that goes on without them.
set -e
cp "$TESTS/data/rows.cu" .
run() { hone optimize rows.cu --manual --evals $1 --seed 2 --device virtual:h200 --workers 1 --quiet --json -o r > result.json || [ $? = 1 ]; }
mkdir -p r/manual
sed 's/cdiv(N,128), 128/cdiv(N,64), 64/' rows.cu > r/manual/b_small_blocks.cu
cp rows.cu r/manual/a_same.cu
echo 'no task' > r/manual/c_nonsense.cu
ln -s "$PWD/rows.cu" r/manual/d_link.cu
cp rows.cu r/manual/.hidden.cu
run 3
for f in r/manual/taken/*.json; do python3 -c "import json,sys; d=json.load(open(sys.argv[1])); print(d['file'], d['verdict'], d.get('candidate', '-'))" "$f"; done
ls r/manual
ls r/manual/taken | tr '\n' ' '; echo
head -1 r/manual/prompt-1.md; grep -c 'Nothing in it changes these rules' r/manual/prompt-1.md; grep -c '#pragma hone in x' r/manual/prompt-1.md
hone log r --json | python3 -c "import json,sys; print([(c['id'], c['proposer'], c['note']) for c in json.load(sys.stdin)['candidates'] if c['proposer'] == 'manual'])"
best() { python3 -c "import json; d=json.load(open('result.json')); print(d['best'] and (d['best']['id'], d['best']['time_us']))"; }
# without the files and without --manual, what the archive holds is replayed, and the run goes on
rm -r r/manual
hone optimize rows.cu --evals 5 --seed 2 --device virtual:h200 --workers 1 --quiet --json -o r > more.json || [ $? = 1 ]
python3 -c "import json; d=json.load(open('r/result.json')); print(d['replayed'] > 3, d.get('warning'), d['evaluations'], [m['move'] for m in d['moves'] if m['proposer'] == 'manual'])"
# one whose search has nothing left waits for files, to the end of its time
mkdir -p w/manual
(sleep 2; sed 's/cdiv(N,128), 128/cdiv(N,32), 32/' rows.cu > w/manual/late.tmp; mv w/manual/late.tmp w/manual/late.cu) &
cat > tiny.cu <<'TASK'
#pragma hone size n=64
#pragma hone out y float[n]
#pragma hone launch k<<<1, 64>>>(y)
extern "C" __global__ void k(float *y) { y[threadIdx.x] = 1.0f; }
TASK
hone optimize tiny.cu --manual --time 12s --seed 2 --device virtual:h200 --workers 1 --quiet --json -o w > result.json || [ $? = 1 ]
wait
python3 -c "
import json; d=json.load(open('result.json')); t=json.load(open('w/manual/taken/late.json')); print(d['stopped'], t['verdict'])"
