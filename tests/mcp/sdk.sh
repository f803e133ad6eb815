#!/usr/bin/env bash
# Runs sdk.py with the public MCP client SDK of PyPI in a virtual environment of its own. Usage: sdk.sh HONE SOURCE_DIR BUILD_DIR. Skips loudly (77) when PyPI cannot
# be reached or python is too old.
set -u
hone=$1 source=$2 build=$3
venv=$build/mcp_venv
skip() { printf 'SKIP mcp/sdk: %s\n' "$1"; exit 77; }
if ! "$venv/bin/python" -c 'import mcp, mcp.client.stdio; from mcp import Client' 2>/dev/null; then
    rm -rf "$venv"
    python3 -m venv "$venv" 2>"$build/mcp_venv.log" || skip "no python3-venv here"
    timeout 240 "$venv/bin/python" -m pip install -q --disable-pip-version-check 'mcp>=2.3,<3' >>"$build/mcp_venv.log" 2>&1 ||
        { tail -3 "$build/mcp_venv.log"; skip "PyPI cannot be reached, or has no SDK for this python"; }
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"
HONE_CACHE_DIR="$work/cache" TMPDIR="$work" timeout 900 "$venv/bin/python" "$source/tests/mcp/sdk.py" "$hone" "$source/tests/data/rows.cu" "$work/root" || exit 1
left=$(find "$work" -maxdepth 1 -name 'hone-mcp-*')
[ -z "$left" ] || { echo "FAIL: the server left $left"; exit 1; }
