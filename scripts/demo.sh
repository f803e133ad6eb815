#!/usr/bin/env bash
# hone optimize on three examples, results printed as a user sees them. Usage: demo.sh BUILD_FOLDER. Results stay in BUILD_FOLDER/demo.
set -eu
hone=$(pwd)/$1/hone
examples=$(pwd)/examples
mkdir -p "$1/demo"
cd "$1/demo"
for task in transpose softmax matmul; do
    printf '\n$ hone optimize examples/%s.cu --evals 40 --seed 1\n' "$task"
    rm -rf "$task.hone"
    code=0
    "$hone" optimize "$examples/$task.cu" --evals 40 --seed 1 || code=$?
    [ "$code" -le 1 ] || exit "$code"
done
