#!/usr/bin/env python3
"""Compares the signals of a replay with DuckDB's answer to the same yardstick job.

In: `signals.ndjson` of a replay of rules made by `rules.py` in zone UTC, and DuckDB's answer as CSV (written by
`peers/duckdb_peer.py`), or the data and the rule set, from which the answer is computed here (J3 only).
Out: exit code 0 when both hold the same rows, else 1 and the first rows that only one of them has.
Windows still open at the end of the input count: a batch query cannot tell them from closed ones.

usage: compare.py --job j1|j2|j3|j4|j5 --signals out/signals.ndjson --truth truth.csv
       compare.py --job j3 --signals out/signals.ndjson --data DIR --rules rules.json [--bench ../shared/bench]
"""
import argparse
import datetime
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def day(instant):
    """Whole days since 1970-01-01 of an instant that must be a midnight in UTC."""
    at = datetime.datetime.fromisoformat(instant.replace("Z", "+00:00")) - EPOCH
    if at % datetime.timedelta(days=1):
        sys.exit(f"window edge {instant} is no midnight in UTC, run the replay with zone UTC")
    return at.days


def ms(instant):
    """Milliseconds since 1970-01-01."""
    return (datetime.datetime.fromisoformat(instant.replace("Z", "+00:00")) - EPOCH) // datetime.timedelta(milliseconds=1)


def rows_of_signals(job, path):
    """Canonical rows of `peers/common.py`, as text, with how often each occurs."""
    rows = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            s = json.loads(line)
            key, value, window = s["key"], s["values"], s["window"]
            if job == "j1":
                row = (key["subject_id"], day(window["end"]), value["n"])
            elif job == "j2":
                row = (key["region"], key["product"], day(window["start"]),
                       value["complaints"], value["people"], value["samples"], value["failed"])
            elif job == "j5":
                row = (key["region"], key["product"], day(window["start"]), s["rule"][-1].upper(), value["value"])
            elif job == "j4":
                row = (key["subject_id"], ms(value["failed.at"]), ms(value["complained.at"]))
            else:
                (name,) = key.values()
                row = (int(s["rule"].removeprefix("j3_")), name, day(window["end"]), value["n"])
            row = ",".join(str(v) for v in row)
            rows[row] = rows.get(row, 0) + 1
    return rows


def rows_of_file(path):
    rows = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            row = line.rstrip("\n")
            rows[row] = rows.get(row, 0) + 1
    return rows


def rows_of_duckdb(data, rules, bench):
    """J3's answer for any rule set, with the batch SQL of the peers."""
    import duckdb
    sys.path.insert(0, str(pathlib.Path(bench) / "peers"))
    sys.dont_write_bytecode = True
    from common import DAY, sql_j3
    con = duckdb.connect()
    con.execute("SET TimeZone='UTC'; SET preserve_insertion_order=false")
    con.execute(f"CREATE TABLE complaints AS SELECT * EXCLUDE(event_time), "
                f"CAST(epoch_ms(event_time)//{DAY} AS INT) AS day FROM read_parquet('{data}/complaints-*.parquet')")
    for r in rules:
        if not isinstance(r["threshold"], dict):
            r["threshold"] = {"any": r["threshold"]}
    rows = {}
    for _, query in sql_j3(rules, "any"):
        for row in con.execute(query).fetchall():
            rows[",".join(str(v) for v in row)] = 1
    return rows


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--job", required=True, choices=["j1", "j2", "j3", "j4", "j5"])
    ap.add_argument("--signals", required=True)
    ap.add_argument("--truth")
    ap.add_argument("--data")
    ap.add_argument("--rules")
    ap.add_argument("--bench", default=HERE.parents[2] / "shared/bench")
    a = ap.parse_args()
    ours = rows_of_signals(a.job, a.signals)
    if a.truth:
        truth = rows_of_file(a.truth)
    elif a.data and a.rules:
        truth = rows_of_duckdb(a.data, json.loads(pathlib.Path(a.rules).read_text(encoding="utf-8")), a.bench)
    else:
        ap.error("give --truth, or --data and --rules")
    missing = sorted(r for r, n in truth.items() if ours.get(r, 0) < n)
    surplus = sorted(r for r, n in ours.items() if truth.get(r, 0) < n)
    print(f"{a.job}: {sum(truth.values())} rows in the truth, {sum(ours.values())} signals, "
          f"{len(missing)} missing, {len(surplus)} surplus")
    for word, some in (("missing", missing), ("surplus", surplus)):
        for row in some[:10]:
            print(f"  {word} {row}")
    return 1 if missing or surplus else 0


if __name__ == "__main__":
    sys.exit(main())
