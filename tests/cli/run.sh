#!/usr/bin/env bash
# Runs one CLI test: run.sh HONE SOURCE_DIR NAME.sh. The script runs in a fresh folder with `hone` in PATH and EXAMPLES set; beside it stand
# NAME.exit (expected exit code, default 0), NAME.stdout and NAME.stderr (lines as bash patterns: * matches anything; a line `...` any lines).
set -u
hone=$1 source=$2 script=$3
base=${script%.sh}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/run"
ln -s "$hone" "$work/bin/hone"
export PATH="$work/bin:$PATH" EXAMPLES="$source/examples" TESTS="$source/tests" HONE_CACHE_DIR="$work/cache" NO_COLOR=1 LC_ALL=C.UTF-8 HOME="$work"
unset XDG_CONFIG_HOME HONE_CONFIG_DIR
cd "$work/run" || exit 2
bash -u "$script" >"$work/stdout" 2>"$work/stderr" </dev/null
code=$?

fail() { printf 'FAIL %s: %s\n--- stdout\n' "$(basename "$script")" "$1"; head -60 "$work/stdout"; printf -- '--- stderr\n'; head -60 "$work/stderr"; exit 1; }

# matches FILE PATTERN_FILE: line by line; `...` skips any number of lines
matches() {
    local -a got want
    mapfile -t got < "$1"; mapfile -t want < "$2"
    local g=0 w=0 skip=0
    while [ $w -lt ${#want[@]} ]; do
        if [ "${want[w]}" = "..." ]; then skip=1; w=$((w + 1)); continue; fi
        if [ $skip = 1 ]; then
            while [ $g -lt ${#got[@]} ]; do
                # shellcheck disable=SC2053
                [[ ${got[g]} == ${want[w]} ]] && break
                g=$((g + 1))
            done
        fi
        [ $g -lt ${#got[@]} ] || { echo "missing: ${want[w]}"; return 1; }
        # shellcheck disable=SC2053
        [[ ${got[g]} == ${want[w]} ]] || { echo "line $((g + 1)): expected '${want[w]}', got '${got[g]}'"; return 1; }
        g=$((g + 1)); w=$((w + 1)); skip=0
    done
    [ $skip = 1 ] || [ $g -eq ${#got[@]} ] || { echo "unexpected: ${got[g]}"; return 1; }
}

expected=0
[ -f "$base.exit" ] && expected=$(cat "$base.exit")
[ "$code" = "$expected" ] || fail "exit code $code, expected $expected"
for stream in stdout stderr; do
    [ -f "$base.$stream" ] || continue
    why=$(matches "$work/$stream" "$base.$stream") || fail "$stream: $why"
done
exit 0
