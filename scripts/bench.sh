#!/usr/bin/env bash
# The benchmarks, one after another, on an otherwise idle machine. Usage: bench.sh BUILD_FOLDER [TUNING_CACHES]. The folder of exhaustive tuning
# measurements (CSV) for the search replay is not part of the repository; without it that part is left out.
set -eu
build=$1
cmake --build "$build" --target benches >"$build/bench.log" 2>&1 || { tail -20 "$build/bench.log" >&2; exit 1; }
title() { printf '\n== %s\n' "$*"; }
title "virtual GPU: warp instructions per second, naive GEMM"; "$build/bench_vgpu_gemm" 512
title "virtual GPU: matrix instructions"; "$build/bench_vgpu_mma"
title "virtual GPU against OpenCL on the same cores (Debian: pocl-opencl-icd)"; "$build/bench_peers" bench/peers/kernels.inc
title "PTX load, 20,000 lines"; "$build/bench_ptx_load"
title "task file parse"; for t in matmul attention; do "$build/bench_task_load" "examples/$t.cu"; done
[ ! -f bench/evaluate.py ] || { title "evaluation: start-up, compilation, duplicates, memory"; python3 bench/evaluate.py "$build/hone"; }
title "timing model against measurements"; python3 bench/model_error.py "$build/hone"
title "SGEMM ladder against published rates"; python3 bench/sgemm_ladder.py "$build/hone"
if [ $# -gt 1 ]; then title "search replay"; "$build/bench_search_replay" "$2"; fi
