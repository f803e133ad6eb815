# A result folder from somebody who means harm: notes, names, messages and texts that a terminal would act on, comments that would let code out,
# absurd numbers, links in place of files. Every command must show it harmlessly or refuse it.
cp "$TESTS/data/rows.cu" .
hone optimize rows.cu --evals 3 --seed 1 --device virtual:h200 --workers 1 --quiet > /dev/null || [ $? = 1 ] || exit 1
cat > spoil.py <<'P'
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1] + "/archive.db")
esc = "\x1b]0;owned\x07\x1b[2J"
db.execute("UPDATE candidate SET note=?, move=?, proposer=?", ("a note\n#error out of the comment\n" + esc + "\\", "move" + esc, "by\r" + esc))
if sys.argv[2] == "numbers":
    db.execute("UPDATE candidate SET time_us='nan', seconds=9e999, tuning=?", (json.dumps({"A\n#error x": 1, "B": 10**18}),))
    db.execute("UPDATE fact SET value='99999999999999999999999' WHERE key='best'")
    db.execute("UPDATE fact SET value=? WHERE key IN ('stop', 'verdict')", (esc * 1000,))
db.commit()
P
cp -r rows.hone spoiled.hone; python3 spoil.py spoiled.hone texts
cp -r rows.hone numbers.hone; python3 spoil.py numbers.hone numbers
python3 - <<'P'
import json
for folder in ("spoiled.hone", "numbers.hone"):
    path = folder + "/result.json"
    r = json.load(open(path))
    r["task"]["name"] = "../../../../tmp/out\x1b[2J"
    json.dump(r, open(path, "w"))
P
for folder in spoiled.hone numbers.hone; do
    for command in "log $folder" "log $folder --json" "show $folder 1" "show $folder best" "show $folder 1 --json" "diff $folder baseline 1" "report $folder" "export $folder out-$folder" \
                   "review $folder 1" "review $folder --log"; do
        timeout 120 hone $command > out 2> err
        code=$?
        [ $code -le 3 ] || { echo "hone $command: exit code $code"; head -5 err; }
        if LC_ALL=C grep -q "$(printf '[\033\007\r]')" out err; then echo "hone $command: control characters"; fi
    done
    hone show $folder 1 | grep -c '^#error'
done
ls .. | tr '\n' ' '; echo; ls -A out-spoiled.hone | grep -vc '^[A-Za-z_][A-Za-z0-9_.]*$'
# as on a terminal
python3 - <<'P'
import os, pty
for args in (["log", "spoiled.hone"], ["show", "spoiled.hone", "1"], ["diff", "spoiled.hone", "baseline", "1"], ["show", "numbers.hone", "1"]):
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp("hone", ["hone"] + args)
    seen = b""
    while True:
        try:
            chunk = os.read(fd, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.waitpid(pid, 0)
    if b"\x1b]" in seen or b"\x1b[2J" in seen or b"\x07" in seen:
        print(args, "acts on the terminal")
P
# links where hone writes: what they point to stays as it is
echo keep > precious
for name in lock report.html result.json best.cu reviews.jsonl; do rm -f spoiled.hone/$name; ln -s "$PWD/precious" spoiled.hone/$name; done
hone report spoiled.hone > /dev/null 2>&1
hone optimize rows.cu --evals 3 --seed 1 --device virtual:h200 --workers 1 --quiet --out spoiled.hone > /dev/null 2>&1
hone review spoiled.hone 1 --reject --by me --reason no > /dev/null 2>&1
cat precious
