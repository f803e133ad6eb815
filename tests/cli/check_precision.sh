# The reference is the shadow of the run, the source in binary64 agrees with it, and the baseline's own error is told in numbers and in words.
hone check "$EXAMPLES/layernorm.cu" --device virtual:h200 --mutants none --json | python3 -c '
import json, sys
c = json.load(sys.stdin)["check"]
f, p = c["facts"], c["precision"]["out"]
print(f["reference"], f["shadow_of"], abs(f["run_to_source"] - 1) < 0.05)
print(1e-8 < p["rms_rel"] < 1e-6, p["max_abs"] < 1e-4, p["max_ulp"] > 0.5, " ".join(sorted(p)))'
hone check "$EXAMPLES/layernorm.cu" --device virtual:h200 --mutants none | grep rounding
