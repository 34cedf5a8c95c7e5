#!/usr/bin/env python3
"""Writes the yardstick jobs as forewarn rules, one YAML file a rule.

In: `jobs.json` of the yardstick (thresholds by number of events, the 100 rules of J3) or a rule set of `gen_rules.py`.
Out: a directory that `forewarn replay --rules DIR` reads: `feeds/` (copied from beside this script) and `bench/*.yaml`.
The rules are `shadow`: signals are what the yardstick compares, alerts are not.

usage: rules.py --job j1|j2|j3|j4|j5 --events 1000000 --out DIR [--jobs ../shared/bench/jobs.json]
       rules.py --job j3 --rules rules.json --out DIR
"""
import argparse
import json
import pathlib
import shutil

HERE = pathlib.Path(__file__).resolve().parent


def quoted(text):
    """A YAML double-quoted scalar: JSON strings are a subset of them."""
    return json.dumps(text, ensure_ascii=False)


def predicate(column, op, value):
    if op == "in":
        return f"{column} in (" + ", ".join(f"'{v}'" for v in value) + ")"
    if op == "prefix":
        return f"{column} like '{value}%'"
    return f"{column} {op} {value}"


def j1(size):
    yield "j1", f"""rule: j1
status: shadow
title: {{zh: 七日投诉数, en: Complaints of one business in seven days}}
kind: window
feed: complaints
key: [subject_id]
window: {{sliding: 7d, every: 1d}}
measures: {{n: count(*)}}
when: n >= {size["j1_min"]}
severity: medium
"""


def j2(size):
    yield "j2", f"""rule: j2
status: shadow
title: {{zh: 地区品类当日不合格率, en: Failure rate of one region and product in a day}}
kind: window
feed: complaints
key: [region, product]
window: {{tumbling: 1d}}
measures:
  complaints: count(*)
  people: count(distinct complainant)
  samples: {{feed: sampling, value: count(*)}}
  failed: {{feed: sampling, where: result = 'fail', value: count(*)}}
when: samples >= {size["j2_min"]} and failed * 100 > {size["j2_pct"]} * samples
severity: medium
"""


def j5():
    """Daily charts over every region and product, each over the whole year as the peers draw them."""
    for name, test in [("j5_e", "jump"), ("j5_c", "drift")]:
        yield name, f"""rule: {name}
status: shadow
title: {{zh: 地区品类日控制图, en: Daily chart of one region and product}}
kind: detect
feed: complaints
key: [region, product]
series: {{value: count(*), period: day, baseline: 1, run: 364}}
detector: {{moving_level: {{test: {test}}}}}
when: alarm{" and value >= 5" if test == "jump" else ""}
severity: medium
"""


def j3(rules, events):
    for r in rules:
        threshold = r["threshold"]
        if isinstance(threshold, dict):
            threshold = threshold[events]
        where = " and ".join(predicate(*p) for p in r["where"])
        value = "count(*)" if r["agg"] == "count" else "sum(severity)"
        name = f"j3_{r['id']:04}"
        yield name, f"""rule: {name}
status: shadow
title: {{zh: 基准规则 {r["id"]}, en: Yardstick rule {r["id"]}}}
kind: window
feed: complaints
where: {quoted(where)}
key: [{r["key"]}]
window: {{sliding: {r["days"]}d, every: 1d}}
measures: {{n: {value}}}
when: n >= {threshold}
severity: medium
"""


def j4(_):
    yield "j4", """rule: j4
status: shadow
title: {zh: 不合格后两次投诉, en: Two complaints after a failed sample}
kind: sequence
key: [subject_id]
within: 30d
runs: each
steps:
  - {as: failed, feed: sampling, where: result = 'fail'}
  - {as: complained, feed: complaints, at_least: 2}
severity: medium
"""


def write(files, out, feeds):
    out = pathlib.Path(out)
    rules = out / "bench"
    shutil.rmtree(rules, ignore_errors=True)
    rules.mkdir(parents=True)
    if feeds:
        shutil.copytree(feeds, out / "feeds", dirs_exist_ok=True)
    n = 0
    for name, text in files:
        (rules / f"{name}.yaml").write_text(text, encoding="utf-8")
        n += 1
    return n


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--job", required=True, choices=["j1", "j2", "j3", "j4", "j5"])
    ap.add_argument("--events", default="1000000", help="which thresholds of jobs.json")
    ap.add_argument("--jobs", default=HERE.parents[2] / "shared/bench/jobs.json")
    ap.add_argument("--rules", help="rule set of gen_rules.py instead of J3's own")
    ap.add_argument("--feeds", default=HERE / "feeds", help="feeds to copy; empty for none")
    ap.add_argument("--out", required=True)
    a = ap.parse_args()
    jobs = None if a.rules else json.loads(pathlib.Path(a.jobs).read_text(encoding="utf-8"))
    if a.job == "j3":
        rules = json.loads(pathlib.Path(a.rules).read_text(encoding="utf-8")) if a.rules else jobs["rules"]
        files = j3(rules, a.events)
    else:
        files = j5() if a.job == "j5" else {"j1": j1, "j2": j2, "j4": j4}[a.job](jobs["sizes"][a.events])
    print(f"{write(files, a.out, a.feeds)} rules in {a.out}")


if __name__ == "__main__":
    main()
