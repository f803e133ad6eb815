"""Uses the exported Python loader as a user would; see test_export.c for the task."""
import sys

sys.path.insert(0, sys.argv[1])
import odd

k = odd.Odd()
need = k.bytes()
print("bytes", need["in"], need["new"], need["out"])
addresses = {"in": 0x1000, "new": 0x2000, "out": 0x3000}


def launch(need, **given):
    try:
        k.launch({n: (a, need[n]) for n, a in addresses.items()}, **given)
        print(0)
    except Exception as e:
        print(type(e).__name__, e)
    sys.stdout.flush()


sys.stdout.flush()
launch(need)
launch(need, M=4096)
launch(k.bytes(M=4096), M=4096, alpha=3)
launch(need, M=2**63 - 1)
