# Decisions about a candidate: the approval that export and apply need, the chained log, and texts that try to decide for themselves.
set -e
cp "$TESTS/data/rows.cu" rows.cu
json() { python3 -c "import json,sys; d=json.load(sys.stdin); print($1)"; }
hone optimize rows.cu --evals 3 --seed 1 --device virtual:h200 --workers 1 --quiet > /dev/null || [ $? = 1 ]
hone export rows.hone out || echo "export unreviewed: $?"
hone apply rows.hone rows.cu || echo "apply unreviewed: $?"
hone review rows.hone --approve || echo "no reason: $?"
hone review rows.hone --approve --reason 'looks fine' || echo "no name: $?"
hone review rows.hone --approve --reject --by A --reason x || echo "two decisions: $?"
hone review rows.hone | sed -n '/^evidence/,$p'
hone review rows.hone --json | json "d['schema'], d['standing'], len(d['not_tested']) > 4, '+' in d['diff']"
hone review rows.hone --comment --by Ada --reason 'why THREADS=256?'
hone export rows.hone out 2>/dev/null || echo "a comment approves nothing: $?"
hone review rows.hone 0 --approve --by Ada --reason 'the baseline is fine'
hone export rows.hone out 2>/dev/null || echo "another candidate's approval does not count: $?"
hone review rows.hone --reject --by Ada --reason 'wait for the A100'
hone export rows.hone out || echo "rejected: $?"
hone review rows.hone --approve --by 'Bo Li' --reason 'ran on the A100'
hone export rows.hone out | head -1
cp rows.hone/best.cu kept.cu
echo '// one more line' >> rows.hone/best.cu
hone export rows.hone out --force 2>/dev/null || echo "an edited best.cu has no approval: $?"
hone export rows.hone out --force --accept-unreviewed | head -1
cp kept.cu rows.hone/best.cu
echo "--- apply"
hone apply rows.hone rows.cu
cmp rows.cu rows.hone/best.cu && cmp rows.cu.orig "$TESTS/data/rows.cu" && echo applied
hone apply rows.hone rows.cu || echo "already: $?"
sed 's/0.0f/-0.0f/' "$TESTS/data/rows.cu" > changed.cu
hone apply rows.hone changed.cu || echo "changed: $?"
cp rows.cu.orig again.cu; touch again.cu.orig
hone apply rows.hone again.cu
echo "--- log"
hone review rows.hone --log
hone review rows.hone --log --json | json "d['schema'], d['whole'], len(d['entries']), d['entries'][3]['action']"
log=rows.hone/reviews.jsonl; cp $log whole
broken() { hone review rows.hone --log | tail -1; hone export rows.hone out --force 2>/dev/null || echo "  and export refuses: $?"; cp whole $log; }
sed -i '3s/reject/approve/' $log; broken                                   # an edit
sed -i '2d' $log; broken                                                   # a removal
sed -i '1{h;d};2{G}' $log; broken                                          # an exchange
head -c -20 whole > $log; broken                                           # a torn end
printf '{"action":"approve"}\n' >> $log; broken                            # an addition
sed -i 's/^{/{ /' $log; broken                                             # the same to a parser, other bytes
printf '{"action":"approve"}\n' >> $log
hone review rows.hone --comment --by Ada --reason x || echo "a broken log takes nothing: $?"
