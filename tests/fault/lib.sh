# What the tests of the paths for hardware share: . lib.sh HONE DRIVER. They run hone on the driver that presents the virtual GPU as physical
# (physical_driver.c), in time that passes only where that device works (fake_clock.c); both lie in one folder, with the NVML that says what it is told.
# A launch takes 5 ms there, so that few of them fill a window, and the L2 cache is small, so that overwriting it is little work.
set -u
hone=$1
libs=$(dirname "$2")
export HONE_CUDA_DRIVER=$2 NO_COLOR=1 LC_ALL=C.UTF-8 HONE_FAKE_GPU="time=5000 l2=65536"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
export HONE_CACHE_DIR=$work/cache
failed=0

# expect NAME CODE NVML "pattern that must be there, or !pattern that must not" … -- arguments of hone…
# CODE is a pattern. NVML: words of the fake one, or - for none.
expect() {
    local name=$1 code=$2 nvml=$3 got path=$libs
    shift 3
    local -a texts=()
    while [ "$1" != -- ]; do texts+=("$1"); shift; done
    shift
    [ "$nvml" = - ] && path= nvml=
    timeout 300 env LD_PRELOAD="${HONE_ASAN_PRELOAD:-} $libs/clock.so" HONE_FAKE_NVML="tick=0.01 $nvml" LD_LIBRARY_PATH=$path "$hone" "$@" > out 2>&1 < /dev/null
    got=$?
    [[ $got =~ ^$code$ ]] || { echo "FAIL $name: exit $got, expected $code"; cat out; failed=1; return; }
    for text in "${texts[@]}"; do
        if [ "${text#!}" != "$text" ]; then
            ! grep -qE -- "${text#!}" out || { echo "FAIL $name: '${text#!}' is there"; cat out; failed=1; return; }
        else
            grep -qE -- "$text" out || { echo "FAIL $name: '$text' is missing"; cat out; failed=1; return; }
        fi
    done
    echo "ok   $name"
}

# document NAME FILE 'Python expression about d'
document() {
    python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$2" "$3" ||
        { echo "FAIL $1: not $3"; python3 -m json.tool "$2" | head -60; failed=1; return; }
    echo "ok   $1"
}
