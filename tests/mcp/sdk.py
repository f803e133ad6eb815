"""A whole small optimisation through the public MCP client SDK: discover, describe, profile, a wrong candidate refused by name, a good one timed, a run with
proposals, its best and lineage, cancellation, progress; in both protocol eras. Usage: sdk.py HONE TASK_FILE FOLDER."""
import asyncio
import json
import os
import pathlib
import sys

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

hone, task_file, root = sys.argv[1:4]
root = pathlib.Path(root)
(root / "rows.cu").write_text(pathlib.Path(task_file).read_text())
TASK = (root / "rows.cu").read_text()
WARP = TASK.replace("cdiv(N,128), 128", "cdiv(N,4), 128").replace(
    TASK[TASK.index('extern "C"'):],
    """extern "C" __global__ void rows(const float *x, float *y, int N, int C) {
    int row = blockIdx.x * 4 + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= N) return;
    float s = 0.0f;
    for (int j = lane; j < C; j += 32)
        s += x[row * C + j];
    for (int d = 16; d; d /= 2)
        s += __shfl_down_sync(0xffffffffu, s, d);
    if (lane == 0)
        y[row] = s;
}
""")
WRONG = TASK.replace("y[row] = s;", "y[row] = s + 100.0f * x[0];")
LOOSE = WARP.replace("#pragma hone out y float[N]", "#pragma hone out y float[N]\n#pragma hone tolerance y rtol=1 atol=1")


def expect(ok, what):
    if not ok:
        raise SystemExit(f"FAIL: {what}")


def need(result, what):
    expect(not result.is_error, f"{what}: {result.content[0].text[:600]}")
    expect(json.loads(result.content[0].text) == result.structured_content, f"{what}: text and structuredContent differ")
    return result.structured_content


async def judge(client):
    task = need(await client.call_tool("describe_task", {"task": "rows.cu"}), "describe_task")
    expect(task["kernels"] == ["rows"] and any("in x" in l for l in task["contract"]), "the task is described")
    profile = need(await client.call_tool("profile_candidate", {"task": "rows.cu", "device": "virtual:h200", "top": 3}), "profile_candidate")
    expect(profile["kernels"][0]["bound"]["words"] and 0 < len(profile["hot_lines"]) <= 3, "a profile says what binds and where")

    told = []
    async def progress(done, total, message):
        told.append(done)
    wrong = need(await client.call_tool("check_candidate", {"task": "rows.cu", "candidate": WRONG, "device": "virtual:h200"}, progress_callback=progress), "check")
    kinds = [f["kind"] for f in wrong["findings"]]
    expect(wrong["verdict"] == "fail" and "diff.wrong" in kinds, f"a wrong candidate is refused by name: {kinds}")
    expect(told == sorted(set(told)), "progress grows")
    meaning = need(await client.call_tool("explain_finding", {"kind": kinds[0]}), "explain_finding")
    expect(meaning["findings"][0]["meaning"], "a finding is explained")
    loose = need(await client.call_tool("check_candidate", {"task": "rows.cu", "candidate": LOOSE, "device": "virtual:h200"}), "check of a changed contract")
    expect(loose["verdict"] == "fail" and loose["findings"][0]["kind"] == "static.contract", "a changed tolerance is refused")
    timed = need(await client.call_tool("benchmark_candidate", {"task": "rows.cu", "candidate": WARP, "device": "virtual:h200"}), "benchmark_candidate")
    expect(timed["rows"][1]["verdict"] == "fast", "a good candidate is fast")
    draft = need(await client.call_tool("draft_task", {"source": TASK[TASK.index('extern "C"'):], "sizes": {"N": 64, "C": 32}, "launches": ["rows<<<cdiv(N,128), 128>>>(x, y, N, C)"]}),
                 "draft_task")
    expect("#pragma hone in" in draft["task"] and "#pragma hone out" in draft["task"], "a drafted task")
    try:
        async with asyncio.timeout(0.2):
            await client.call_tool("benchmark_candidate", {"task": "rows.cu", "candidate": WARP, "device": "virtual:h200", "seed": 77})
        expect(False, "no evaluation takes so little")
    except TimeoutError:
        pass   # the SDK sends notifications/cancelled
    outside = await client.call_tool("describe_task", {"task": "../../../etc/passwd"})
    expect(outside.is_error, "a path outside the folder is refused")


async def optimise(client):
    run = need(await client.call_tool("start_run", {"task": "rows.cu", "evals": 5, "time_s": 240, "seed": 3, "device": "virtual:h200"}), "start_run")
    for text, want in ((WARP, ("pass",)), (LOOSE, ("static.contract",))):
        done = need(await client.call_tool("propose", {"run_id": run["run_id"], "candidate": text, "wait_s": 200}), "propose")
        if done["state"] == "going on" or done["proposals"][-1]["verdict"] != "not evaluated":
            expect(done["proposals"][-1]["verdict"] in want, f"the proposal was judged: {done['proposals']}")
        expect(text is not WARP or done["proposals"][-1]["verdict"] == "pass", f"the first proposal is evaluated: {done}")
    end = need(await client.call_tool("run_result", {"run_id": run["run_id"], "wait_s": 240}), "run_result")
    expect(end["state"] == "ended" and end["result"]["verdict"] == "FAST", f"the run improves: {json.dumps(end)[:600]}")
    best = need(await client.call_tool("best", {"run_id": run["run_id"]}), "best")
    expect(best["ok"] and best["speedup"] > 1.5 and "#pragma hone" in best["text"], "there is a best")
    line = need(await client.call_tool("lineage", {"folder": "rows.hone"}), "lineage")
    expect(line["lineage"][0]["verdict"] == "baseline" and line["lineage"][-1]["id"] == best["id"], "its lineage starts at the baseline")
    late = await client.call_tool("propose", {"run_id": run["run_id"], "candidate": WARP})
    expect(late.is_error, "a run that is over takes nothing")


async def cancel(client):
    run = need(await client.call_tool("start_run", {"task": "rows.cu", "evals": 900, "time_s": 600, "seed": 9, "folder": "long.hone", "device": "virtual:h200"}), "start_run")
    try:
        async with asyncio.timeout(2):
            await client.call_tool("run_result", {"run_id": run["run_id"], "wait_s": 500})
        expect(False, "the call ends only by its cancellation")
    except TimeoutError:
        pass
    greedy = await client.call_tool("start_run", {"task": "rows.cu", "evals": 100000, "folder": "greedy.hone"})
    expect(greedy.is_error, "a budget above the server's is refused")
    end = need(await client.call_tool("cancel_run", {"run_id": run["run_id"]}), "cancel_run")
    expect(end["state"] in ("cancelled", "failed"), f"a run is cancelled: {end['state']}")


async def main():
    server = StdioServerParameters(command=hone, args=["mcp", "--root", str(root)], env=dict(os.environ))
    async with Client(stdio_client(server), mode="2026-07-28") as client:
        expect(client.protocol_version == "2026-07-28", "the newer era")
        tools = (await client.list_tools()).tools
        names = [t.name for t in tools]
        expect(len(names) == 13 and not any(w in n for n in names for w in ("approve", "review", "apply", "export")), f"no tool approves: {names}")
        await judge(client)
        await cancel(client)
    async with Client(stdio_client(server), mode="auto") as client:
        expect(client.protocol_version == "2026-07-28" and client.server_info.name == "hone", "discovery finds the newer era")
    async with Client(stdio_client(server), mode="legacy") as client:
        expect(client.protocol_version == "2025-11-25" and client.server_info.name == "hone", "the older era")
        await optimise(client)
    expect(not (root / "rows.hone" / "reviews.jsonl").exists(), "nothing was approved")
    print("mcp sdk: a whole optimisation in both eras")


asyncio.run(main())
