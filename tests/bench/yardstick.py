#!/usr/bin/env python3
"""Runs the yardstick jobs with DuckDB and with forewarn back to back and compares answers, seconds and memory.

In: a directory made by the yardstick's `gen.py`. Out: one line a job on stdout, files below --out; exit code 1 when an
answer differs. Needs a Python with duckdb 2.0.0 and pyarrow, and a release build of forewarn. Machines are noisy: look at
the ratio, and repeat.

usage: yardstick.py --data /tmp/bench/1m [--jobs j1,j2,j3,j4,j5] [--sets 10,100,1000] [--repeat 3] [--format ndjson|parquet]
"""
import argparse
import glob
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parents[1]


def timed(command, **more):
    """Seconds and peak memory (MB) of a command; exits when it fails."""
    start = time.monotonic()
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, **more)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {child.returncode}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def best(command, repeat, **more):
    return min(timed(command, **more) for _ in range(repeat))


def feeds_of(job):
    return ["complaints", "sampling"] if job in ("j2", "j4") else ["complaints"]


def replay(a, job, rules, out):
    inputs = [f for feed in feeds_of(job) for f in sorted(glob.glob(f"{a.data}/{feed}-*.{a.format}"))]
    command = [a.forewarn, "replay", "--quiet", "--zone", "UTC", "--rules", rules, "--out", out]
    for path in inputs:
        command += ["--input", f"{pathlib.Path(path).name.split('-')[0]}={path}"]
    return command + (["--shards", a.shards] if a.shards else [])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", required=True)
    ap.add_argument("--jobs", default="j1,j2,j3,j4")
    ap.add_argument("--sets", default="", help="sizes of gen_rules.py rule sets to run as well: 10,100,1000")
    ap.add_argument("--format", default="ndjson", choices=["ndjson", "parquet"])
    ap.add_argument("--repeat", type=int, default=1)
    ap.add_argument("--shards")
    ap.add_argument("--bench", default=REPO.parent / "shared/bench")
    ap.add_argument("--forewarn", default=REPO / "target/release/forewarn")
    ap.add_argument("--python", default=sys.executable, help="the Python that has duckdb")
    ap.add_argument("--out", default=REPO / "target/yardstick")
    a = ap.parse_args()
    pathlib.Path(a.out).mkdir(parents=True, exist_ok=True)
    meta = json.loads((pathlib.Path(a.data) / "meta.json").read_text())
    events = str(meta["events"])
    quiet = {"env": os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}}
    wrong = 0
    print(f"{'job':>8} {'events':>10} {'duckdb s':>9} {'forewarn s':>10} {'ratio':>6} {'M events/s':>10} {'MB':>6}  answers")
    for job in filter(None, a.jobs.split(",")):
        rules, out = f"{a.out}/{job}", f"{a.out}/out-{job}"
        subprocess.run([a.python, HERE / "rules.py", "--job", job, "--events", events, "--jobs", f"{a.bench}/jobs.json", "--out", rules],
                       check=True, stdout=subprocess.DEVNULL)
        truth = f"{a.out}/truth-{job}.csv"
        peer = [a.python, f"{a.bench}/peers/duckdb_peer.py", "--job", job, "--data", a.data, "--format", a.format, "--out", truth]
        theirs, _ = best(peer, a.repeat, **quiet)
        ours, memory = best(replay(a, job, rules, out), a.repeat)
        check = ["--job", job, "--signals", f"{out}/signals.ndjson", "--truth", truth]
        wrong += line(a, job, meta, theirs, ours, memory, check)
    for size in filter(None, a.sets.split(",")):
        rules, out, spec = f"{a.out}/set-{size}", f"{a.out}/out-set-{size}", f"{a.out}/set-{size}.json"
        with open(spec, "w", encoding="utf-8") as file:
            subprocess.run([a.python, "gen_rules.py", "--n", size, "--seed", "7", "--events", events], check=True, stdout=file, cwd=a.bench, **quiet)
        subprocess.run([a.python, HERE / "rules.py", "--job", "j3", "--rules", spec, "--out", rules], check=True, stdout=subprocess.DEVNULL)
        ours, memory = best(replay(a, "j3", rules, out), a.repeat)
        check = ["--job", "j3", "--signals", f"{out}/signals.ndjson", "--data", a.data, "--rules", spec, "--bench", a.bench]
        wrong += line(a, f"{size} rules", meta, None, ours, memory, check)
    return 1 if wrong else 0


def line(a, job, meta, theirs, ours, memory, check):
    feeds = feeds_of(job)
    events = sum(meta["feeds"][f] for f in feeds)
    done = subprocess.run([a.python, HERE / "compare.py"] + [str(c) for c in check], capture_output=True, text=True)
    told = f"{theirs:9.2f} {ours:10.2f} {ours / theirs:6.2f}" if theirs else f"{'':9} {ours:10.2f} {'':6}"
    print(f"{job:>8} {events:>10} {told} {events / ours / 1e6:10.2f} {memory:6.0f}  {'equal' if done.returncode == 0 else 'DIFFER'}", flush=True)
    if done.returncode:
        print(done.stdout + done.stderr)
    return done.returncode != 0


if __name__ == "__main__":
    sys.exit(main())
