# A certificate on the machine that made it, on another one, and after edits of what it speaks of.
sed -n '3,14p' "$TESTS/cli/archive.sh" > scale.cu
hone optimize scale.cu --evals 6 --seed 5 --device virtual:h200 --workers 1 --quiet > /dev/null   # exit code 1 too: no matter how much faster
stat -c '%a %n' "$HOME/.config/hone/key.pem" | sed "s|$HOME||"
check() { hone check --certificate "$1" --workers 1 ${2:-}; echo "exit: $?"; }
python3() { LD_PRELOAD=${HONE_ASAN_PRELOAD:-} command python3 "$@"; }
key=$(python3 -c 'import json; print(json.load(open("scale.hone/certificate.json"))["key"])')

echo "== another machine"
mkdir elsewhere there && cp scale.hone/certificate.json elsewhere
own=$HOME
export HOME=$PWD/there
check elsewhere/certificate.json
ls -A there
mkdir -p there/.config/hone
printf '# keys\n%s Ada of the next room\n' "$key" > there/.config/hone/trusted_keys
check elsewhere/certificate.json '--device virtual:h100'
hone check --certificate elsewhere/certificate.json --workers 1 --json | python3 -c "
import json, sys
d = json.load(sys.stdin); p = d['provenance']
print(d['confirmed'], d['exact'], p['signer'], p['name'], p['archive'], p['files'])"
export HOME=$own

echo "== edits"
cp -r scale.hone edited.hone
python3 - <<'PY'
import sqlite3
d = sqlite3.connect("edited.hone/archive.db")
d.execute("UPDATE candidate SET note = 'x' WHERE seq = 3")
d.commit()
PY
check edited.hone/certificate.json
hone optimize scale.cu --evals 8 --seed 5 --device virtual:h200 --workers 1 --quiet --out edited.hone 2> refused; echo "go on: $?"
cat refused
cp scale.hone/archive.db edited.hone
printf '//' >> edited.hone/best.cu
check edited.hone/certificate.json
sed 's/"verdict": "pass"/"verdict": "fail"/' scale.hone/certificate.json > edited.json
check edited.json
sed "s/^ //" scale.hone/certificate.json > edited.json   # the same JSON
check edited.json
