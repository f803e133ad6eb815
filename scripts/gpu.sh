#!/usr/bin/env bash
# Every measurement that needs an NVIDIA GPU, in one run of under ten minutes. A step has a time budget and may fail; the others go on. It reads from the GPU and never
# sets anything. Results: OUT/summary.json (steps, seconds, exit codes), OUT/log.txt, and one JSON file per step that has numbers.
#   usage: [DEVICE=cuda:0] [OUT=gpu-results] [SCALE=1] [STEPS="doctor diff …"] scripts/gpu.sh
# Runs from a checkout (build/hone) or from what scripts/gpu_bundle.sh gathered. SCALE multiplies every budget. Without a GPU, DEVICE=virtual:h200 tries the steps
# that the virtual GPU can do.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
hone=${HONE:-$top/build/hone}; [ -x "$hone" ] || hone=$top/hone
diff=$(dirname "$hone")/gpu_diff
device=${DEVICE:-cuda:0} out=${OUT:-gpu-results} scale=${SCALE:-1}
mkdir -p "$out"
out=$(cd "$out" && pwd)
log=$out/log.txt rows=$out/.steps
: > "$log"; : > "$rows"
libdir=$(dirname "$hone"); [ -e "$libdir/libhonegpu.so" ] || libdir=$top/bin
export HONE_CACHE_DIR=${HONE_CACHE_DIR:-$out/.cache}
virtual=no; case $device in virtual*) virtual=yes ;; esac
seconds() { awk -v b="$1" -v s="$scale" 'BEGIN { printf "%d", (b * s < 1 ? 1 : b * s) }'; }

# step NAME BUDGET COMMAND…: output to the log, standard output to OUT/NAME.out when the command has one
step() {
    local name=$1 budget; budget=$(seconds "$2"); shift 2
    case " ${STEPS:-$name} " in *" $name "*) ;; *) return ;; esac
    local from to code
    from=$(date +%s.%N)
    printf '\n== %s (at most %s s): %s\n' "$name" "$budget" "$*" >> "$log"
    timeout -k 5 "$budget" "$@" < /dev/null > "$out/$name.out" 2>> "$log"
    code=$?
    to=$(date +%s.%N)
    tail -c 20000 "$out/$name.out" >> "$log"
    if head -c 1 "$out/$name.out" | grep -q '{'; then mv "$out/$name.out" "$out/$name.json"; else rm -f "$out/$name.out"; fi
    printf '%s %s %s %s\n' "$name" "$code" "$(awk -v a="$from" -v b="$to" 'BEGIN { printf "%.1f", b - a }')" "$budget" >> "$rows"
    printf '%-12s exit %3d  %6.1f s\n' "$name" "$code" "$(awk -v a="$from" -v b="$to" 'BEGIN { print b - a }')"
}

# Every example's baseline by hone bench: one JSON array.
bench_examples() {
    local f first=yes end=$(($(date +%s) + $1))
    printf '{"schema":"hone.gpu-bench/1","results":['
    for f in "$top"/examples/*.cu; do
        local text
        [ "$(date +%s)" -lt "$end" ] || break
        text=$("$hone" bench "$f" --device "$device" --json 2>> "$log")
        [ -n "$text" ] || continue
        [ $first = yes ] || printf ','
        first=no
        printf '%s' "$text"
    done
    printf ']}\n'
}

# Every example for a few seconds; small files: the summary of each run.
optimize_examples() {
    local f first=yes each=$1 end=$(($(date +%s) + $2))
    printf '{"schema":"hone.gpu-optimize/1","results":['
    for f in "$top"/examples/*.cu; do
        local text
        [ "$(date +%s)" -lt "$end" ] || break
        text=$("$hone" optimize "$f" --device "$device" --time "$each" --json --quiet --out "$out/runs/$(basename "$f" .cu).hone" 2>> "$log")
        [ -n "$text" ] || continue
        [ $first = yes ] || printf ','
        first=no
        printf '%s' "$text"
    done
    printf ']}\n'
}
export -f bench_examples optimize_examples
export top hone device log out

step doctor 15 "$hone" doctor --device "$device" --json
if [ $virtual = no ]; then
    step diff 60 "$diff" --device "$device" --limit "$(seconds 10)" --budget "$(seconds 55)" --examples "$top/examples" --json "$out/gpu-diff.json"
fi
step control 20 "$hone" bench "$top/examples/matmul.cu" "$top/examples/matmul.cu" --device "$device" --no-roofline --json    # a file against itself
step calibrate 60 python3 "$top/bench/calibrate/run.py" --device "$device" --libdir "$libdir" --out "$out/device.gpu"
step bench 90 bash -c "bench_examples $(seconds 80)"
if [ $virtual = no ]; then
    step filter 110 python3 "$top/bench/filter.py" --hone "$hone" --device "$device" --evals 60 --time "$(seconds 20)" --json "$out/filter.json" "$top/examples/matmul.cu" "$top/examples/softmax.cu"
fi
step optimize 170 bash -c "optimize_examples $(seconds 8) $(seconds 150)"
if [ $virtual = no ]; then
    step energy 25 "$hone" bench "$top/examples/matmul.cu" --device "$device" --energy --json
fi
if [ $virtual = no ]; then
    if python3 -c 'import torch' 2>> "$log"; then
        step library 35 python3 "$top/bench/library.py" "$out/library.json"
    else
        echo "library      skipped: no PyTorch" | tee -a "$log"
    fi
fi
rm -rf "$out/.cache" "$out"/runs
awk -v device="$device" 'BEGIN { printf "{\"schema\":\"hone.gpu-run/1\",\"device\":\"%s\",\"steps\":[", device }
    { printf "%s{\"name\":\"%s\",\"exit\":%s,\"seconds\":%s,\"budget_s\":%s}", (NR > 1 ? "," : ""), $1, $2, $3, $4 } END { print "]}" }' "$rows" > "$out/summary.json"
rm -f "$rows"
