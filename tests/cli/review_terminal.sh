# The questions that `hone review` asks on a terminal.
set -e
cp "$TESTS/data/rows.cu" .
hone optimize rows.cu --evals 2 --seed 1 --device virtual:h200 --workers 1 --quiet > /dev/null || [ $? = 1 ]
cat > talk.py <<'P'
import os, pty, sys
def talk(*answers):
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp("hone", ["hone", "review", "rows.hone", "--color", "always"])
    seen, left = b"", list(answers)
    while True:
        try:
            chunk = os.read(fd, 4096)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
        while left and left[0][0] in seen:
            question, answer = left.pop(0)
            seen = seen.split(question, 1)[1]
            os.write(fd, answer + b"\n")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode().strip().splitlines()
ask, name, why = b"or [q]uit? ", b"your name", b"reason: "
code, seen = talk((ask, b"q"))
print("quit", code)
code, seen = talk((ask, b"a"), (name, b"Ada"), (why, b""))
print("no reason", code)
code, seen = talk((ask, b"r"), (name, b"Ada"), (why, b"not yet"))
print("reject", code, seen[-1])
code, seen = talk((ask, b"a"), (name, b"Ada"), (why, b"read it"))
print("approve", code, seen[-1])
P
python3 talk.py
hone review rows.hone --log
