//! `kind: window`: many records of one key within days, against what is usual for it.

use super::{Body, Missing, Test, example::Example};

pub(super) fn body(example: &Example<'_>) -> Result<Body, Missing> {
    let key = example.key()?;
    let (name, called) = (&key.name, example.called(key));
    let subject = format!("{name}: {}", example.value(key));
    let filter = example.filter(key);
    let fields = format!(
        "# 只算哪些记录(SQL 条件);不写则全算。 Which records count (an SQL condition); all without it.\n\
         # where: {filter}\n\
         # 按什么归并:每个对象各算各的。 What records are grouped by: each is counted for itself.\n\
         key: [{name}]\n\
         # 看多长的时间,多久看一次。 How much time is looked at, and how often.\n\
         window: {{sliding: 7d, every: 1d}}\n\
         # 名字: 聚合。 Name: aggregate, like count(distinct …), sum(…), count(*) filter (where …).\n\
         measures:\n\
         \x20 n: count(*)\n\
         # 与平日比:前八周各周的平均,写作 usual.n。 The mean of the eight weeks before, as usual.n.\n\
         compare:\n\
         \x20 usual: {{windows: 8, step: 7d, of: mean}}\n\
         # 可调的数,写作 $名;forewarn tune 用历史试各个取值。 Numbers to tune, written $name; see forewarn tune.\n\
         params: {{min_n: 5, times: 3}}\n\
         # 何时告警:既要够多,又要比平日多。 When: enough of them, and more than usual.\n\
         when: n >= $min_n and usual.n is not null and n >= $times * greatest(usual.n, 1)\n\
         # 一个词,或按条件分级。 One word, or conditions.\n\
         severity: {{high: n >= 4 * $min_n, else: medium}}\n"
    );
    Ok(Body {
        one_feed: true,
        fields,
        alert: "  # 不再满足后多久才解除。 How long it must be clear before the alert resolves.\n  keep_for: 3d\n",
        message: (
            format!("{{{called}}} 7日内 {{n}} 件,平日 {{usual.n:.1}} 件"),
            format!("{{{called}}}: {{n}} in 7 days, usual {{usual.n:.1}}"),
        ),
        firing: Test {
            name: "five in a day where there are none usually",
            rows: example.rows(0, 5, 1, &subject)?,
            until: "2026-03-04",
            expect: format!(
                "key: {{{subject}}}, severity: medium, state: firing, fired: 2026-03-02, n: 5"
            ),
        },
        silent: Test {
            name: "four are too few",
            rows: example.rows(0, 4, 1, &subject)?,
            until: "2026-03-04",
            expect: String::new(),
        },
    })
}
