#!/usr/bin/env python3
"""Writes the sample files beside it: four months of a made-up province, seeded, so that every run gives the same bytes.

complaints.ndjson  orders in the order they arrived, with duplicates, late letters, corrections, withdrawals, bad rows
sampling.csv       food samples as an office exports them: Chinese headings, GB18030, placeholders
penalties.csv      penalties with the headings of the national publication standard, fines in 万元, UTF-8 with BOM
lifts.csv          calls to a lift rescue line; the tutorial of README.md begins with it

All businesses are invented; their codes have right check characters and an organisation part that begins with MADEM0.
What is planted, and the rule that should find it, stands beside each incident below.
"""
import csv
import datetime as dt
import io
import json
import pathlib
import random

HERE = pathlib.Path(__file__).resolve().parent
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
DAY0, DAYS = dt.datetime(2026, 3, 2), 121
ZONE = "+08:00"

COUNTIES = ["430102", "430103", "430104", "430105", "430111", "430112", "430121", "430181",
            "430202", "430211", "430302", "430304", "430405", "430481", "430602", "430702"]
TRADES = ["健身", "烘焙", "水产", "茶叶", "火锅", "书店", "家电", "装修", "美容", "酿酒", "乳品", "培训", "粮油", "山货", "糖果", "豆制品",
          "糕点", "腊味", "蜂业", "冷饮", "超市", "药房", "数码", "童装"]
GOODS = ["G01", "G02", "G03", "G04", "G05", "G07"]
PROBLEMS = ["ZL", "SH", "HT", "JG", "SA", "XC", "YF"]
REPORTS = ["R01", "R02", "R04", "R05", "R06", "R07"]
CHANNELS = ["PC", "WXMP", "ALI", "APP", "TEL", "LET"]
TEXTS = {"ZL": "商品有质量问题,商家拒绝处理", "SH": "售后不上门", "HT": "不履行合同约定", "JG": "结账价格与标价不一致",
         "SA": "食用后不适,食品疑似变质", "XC": "宣传与实物不符", "YF": "预付卡退费难"}
FOODS = [("糕点", "菌落总数"), ("豆制品", "苯甲酸"), ("肉制品", "亚硝酸盐"), ("酒类", "甜蜜素"), ("食用油、油脂及其制品", "过氧化值"), ("蜂产品", "呋喃类兽药")]


def organisation_check(body):
    total = sum(int(c, 36) * w for c, w in zip(body, (3, 7, 9, 10, 5, 8, 4, 2)))
    r = (11 - total % 11) % 11
    return "X" if r == 10 else str(r)


def code(number, region):
    """A made-up unified social credit code (GB 32100-2015)."""
    body = "MADEM0" + ALPHABET[number // 31] + ALPHABET[number % 31]
    head = "91" + region + body + organisation_check(body)
    total = sum(ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(head))
    return head + ALPHABET[(31 - total % 31) % 31]


class Business:
    def __init__(self, number):
        self.region = COUNTIES[number % len(COUNTIES)]
        self.ucc = code(100 + number, self.region)
        city = {"4301": "长沙", "4302": "株洲", "4303": "湘潭", "4304": "衡阳", "4306": "岳阳", "4307": "常德"}[self.region[:4]]
        self.name = f"{city}样例{number + 1}号{TRADES[number]}有限公司"


BUSINESSES = [Business(n) for n in range(len(TRADES))]


def instant(day, hour):
    """`day` whole days after the start, `hour` with a fraction, as an instant of Asia/Shanghai."""
    at = DAY0 + dt.timedelta(days=day, minutes=round(hour * 60))
    return at.strftime("%Y-%m-%dT%H:%M:%S") + ZONE


def complaints(r):
    """(arrival, line) pairs."""
    out, orders = [], 0

    def add(day, hour, kind, business, person, delay_days=0.0, **more):
        nonlocal orders
        orders += 1
        known = business is not None
        row = {"order_no": f"HN2026{orders:06}", "version": 1, "op": "insert", "kind": kind,
               "channel": r.choice(CHANNELS), "registered_at": instant(day, hour),
               "occurred_on": (DAY0 + dt.timedelta(days=day - r.randrange(0, 9))).strftime("%Y-%m-%d"),
               "complainant_hash": person, "respondent_name": business.name if known else "某网店",
               "ucc": business.ucc if known else None, "region": business.region if known else r.choice(COUNTIES),
               "object_code": r.choice(GOODS), "brand": None, "amount_yuan": f"{r.lognormvariate(5, 1.1):.2f}",
               "state": "20"}
        if kind == "JB":
            row["report_type"] = r.choice(REPORTS)
        if kind == "TS":
            row["problem_code"] = r.choice(PROBLEMS)
            row["text"] = TEXTS[row["problem_code"]]
        row.update(more)
        out.append((day * 24 + hour + delay_days * 24, json.dumps(row, ensure_ascii=False)))
        return row

    def again(row, day, hour, **more):
        """A later version of a row: a correction or a withdrawal."""
        row = row | {"version": row["version"] + 1, "op": "correct"} | more
        out.append((day * 24 + hour, json.dumps(row, ensure_ascii=False)))

    def person(n=2500):
        return f"p{r.randrange(n):04}"

    for day in range(DAYS):
        monday = 1.4 if day % 7 == 0 else 0.6 if day % 7 > 4 else 1.0
        for _ in range(round(14 * monday * r.uniform(.7, 1.3))):
            business = None if r.random() < .3 else BUSINESSES[min(int(r.expovariate(.12)), len(BUSINESSES) - 1)]
            late = r.uniform(1, 5) if r.random() < .03 else 0.0      # letters and transfers
            add(day, r.uniform(8, 22), "TS", business, person(), late)
        if r.random() < .8:
            add(day, r.uniform(8, 22), "JB", r.choice(BUSINESSES), person())
        for _ in range(r.randrange(1, 4)):
            add(day, r.uniform(8, 22), "ZX", None, person())

    # complaint_surge_business: a fitness chain about to close, 2026-05-18 … 05-21.
    gym = BUSINESSES[0]
    surge = [add(77 + i // 7, 9 + (i % 7) * 1.7, "TS", gym, f"gym{i}", object_code="G03", problem_code="YF", text="健身房要关门,预付卡退费难", tags="YF") for i in range(26)]
    # One of them named the wrong shop and the order is corrected to another business two days later.
    again(surge[3], 81, 10.0, ucc=BUSINESSES[5].ucc, respondent_name=BUSINESSES[5].name)

    # report_multi_source: four people over three channels report the same breach, 2026-05-04 … 05-19.
    for day, channel in ((63, "APP"), (66, "TEL"), (71, "APP"), (78, "WXMP")):
        add(day, 11.0, "JB", BUSINESSES[16], f"rep{day}", channel=channel, report_type="R01", text="使用过期原料")
    # report_multi_source, taken back: the third of three reports is withdrawn within the week.
    reports = [add(84 + i, 10.0, "JB", BUSINESSES[21], f"law{i}", channel=("APP", "APP", "TEL")[i], report_type="R05") for i in range(3)]
    again(reports[2], 90, 15.0, op="withdraw")

    # category_week_surge: air conditioners in 湘潭, week of 2026-06-08, many shops, mostly without a code.
    for i in range(46):
        shop = BUSINESSES[6] if i % 9 == 0 else None
        add(98 + i % 6, 9 + i * .25, "TS", shop, f"ac{i}", region="430302", object_code="G04", problem_code="SH", text="空调安装后不制冷,售后不上门")

    # What real files have: records sent twice, a letter too late to count, rows nobody can read.
    out.sort(key=lambda pair: pair[0])
    for i in sorted(r.sample(range(len(out)), 30)):
        out.append((out[i][0] + 2.0, out[i][1]))
    row = json.loads(out[40][1]) | {"order_no": "HN2026LATE01", "registered_at": instant(3, 9.0)}
    out.append((60 * 24.0, json.dumps(row, ensure_ascii=False)))
    broken = json.loads(out[500][1])
    out.append((30 * 24.0, json.dumps(broken, ensure_ascii=False)[:90]))
    out.append((45 * 24.0, json.dumps(broken | {"order_no": "HN2026BAD02", "registered_at": "二〇二六年五月"}, ensure_ascii=False)))
    out.append((46 * 24.0, json.dumps(broken | {"order_no": "HN2026BAD03", "registered_at": "2099-01-01T00:00:00+08:00"}, ensure_ascii=False)))
    out.append((50 * 24.0, json.dumps(broken | {"order_no": "HN2026BAD04", "kind": "投诉举报"}, ensure_ascii=False)))
    out.sort(key=lambda pair: pair[0])
    return [line for _, line in out]


HEADINGS_SAMPLING = ["抽样单编号", "报告日期", "营业执照/社会信用代码", "被抽样单位名称", "标称生产企业名称", "标称生产企业统一社会信用代码",
                     "食品大类", "样品名称", "检验项目", "结论", "复检状态", "操作"]


def sampling(r):
    out, number = [], 0

    def add(day, maker, food, item, fails, recheck="/"):
        nonlocal number
        number += 1
        seller = r.choice(BUSINESSES[20:])
        known = isinstance(maker, Business)
        row = [f"DC26430000{number:06}", (DAY0 + dt.timedelta(days=day)).strftime("%Y年%m月%d日"), seller.ucc, seller.name,
               maker.name if known else "外省某食品厂", maker.ucc if known else "/", food, food + "样品",
               item if fails else "/", "不合格样品" if fails else "合格样品", recheck, "新增"]
        out.append((day, row))
        return row

    for day in range(DAYS):
        for _ in range(r.randrange(5, 12)):
            food, item = r.choice(FOODS)
            maker = r.choice(BUSINESSES[10:20]) if r.random() < .35 else "外省某食品厂"
            add(day, maker, food, item, not isinstance(maker, Business) and r.random() < .02)
    # food_fail_repeat: three failing samples of one maker; of another maker's two the second is overturned.
    for day, item in ((20, "甜蜜素"), (64, "甜蜜素"), (101, "酒精度")):
        add(day, BUSINESSES[9], "酒类", item, True)
    add(30, BUSINESSES[18], "蜂产品", "呋喃类兽药", True)
    overturned = add(70, BUSINESSES[18], "蜂产品", "呋喃类兽药", True)
    out.append((88, overturned[:-2] + ["复检合格", "更正"]))
    # sampling_failure_rate: seven of thirty of one pastry maker.
    for i in range(30):
        add(40 + i, BUSINESSES[16], "糕点", "菌落总数", i % 4 == 1, "复检维持" if i == 9 else "/")
    out.sort(key=lambda pair: pair[0])
    return [row for _, row in out]


HEADINGS_PENALTIES = ["行政处罚决定书文号", "行政相对人名称", "统一社会信用代码", "违法行为类型", "处罚类别", "罚款金额(万元)", "处罚决定日期", "处罚机关"]


def penalties(r):
    out = []
    for number in range(1, 61):
        business = r.choice(BUSINESSES)
        day = number * 2 - r.randrange(0, 2)
        kind, fine = r.choice([("警告", 0), ("罚款", .3), ("罚款", .8), ("警告;罚款", .5), ("罚款;没收违法所得", 1.2)])
        if number in (17, 44):                                       # severe_penalty: by kind …
            kind, fine = ("吊销许可证件", 5.0) if number == 17 else ("责令停产停业", 2.0)
        if number == 30:                                             # … and by the fine alone
            kind, fine = "罚款", 36.5
        out.append([f"湘市监处罚〔2026〕{number}号", business.name, business.ucc, "违反食品安全法" if number % 3 else "虚假宣传", kind,
                    f"{fine:.6f}", (DAY0 + dt.timedelta(days=day)).strftime("%Y/%m/%d"), "湖南省市场监督管理局"])
    return out


HEADINGS_LIFTS = ["报警编号", "报警时间", "设备注册代码", "使用单位", "区县代码", "事件类型", "救援用时(分钟)"]


def lifts(r):
    out = []

    def add(day, hour, lift, kind):
        user = BUSINESSES[lift % len(BUSINESSES)]
        minutes = r.randrange(8, 45) if kind == "困人" else ""
        at = DAY0 + dt.timedelta(days=day, minutes=round(hour * 60))
        out.append((at, [f"{at:%Y-%m-%d %H:%M}", f"3110430100{lift:06}", user.name, user.region, kind, minutes]))

    for day in range(DAYS):
        for _ in range(r.randrange(0, 4)):
            add(day, r.uniform(7, 23), r.randrange(400), r.choices(["困人", "故障停梯", "误报"], [3, 5, 2])[0])
    # One lift traps people four times in three weeks.
    for day, hour in ((60, 8.2), (66, 18.5), (74, 7.9), (81, 19.1)):
        add(day, hour, 417, "困人")
    out.sort(key=lambda pair: pair[0])
    return [[f"JJ{number:05}"] + row for number, (_, row) in enumerate(out, 1)]


def table(headings, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return text.getvalue()


def main():
    r = random.Random(20260302)
    (HERE / "complaints.ndjson").write_text("\n".join(complaints(r)) + "\n", encoding="utf-8")
    (HERE / "sampling.csv").write_bytes(table(HEADINGS_SAMPLING, sampling(r)).encode("gb18030"))
    (HERE / "penalties.csv").write_bytes(table(HEADINGS_PENALTIES, penalties(r)).encode("utf-8-sig"))
    (HERE / "lifts.csv").write_text(table(HEADINGS_LIFTS, lifts(r)), encoding="utf-8", newline="")


if __name__ == "__main__":
    main()
