//! `kind: detect`: one value a week and key, judged by a statistical detector.

use super::{Body, Missing, Test, example::Example};

pub(super) fn body(example: &Example<'_>) -> Result<Body, Missing> {
    let key = example.key()?;
    let (name, called) = (&key.name, example.called(key));
    let subject = format!("{name}: {}", example.value(key));
    let fields = format!(
        "# 按什么归并:每个对象一条序列。 What records are grouped by: each has a series of its own.\n\
         key: [{name}]\n\
         # 每期一个数:day、week,或 28d。 One value a period: day, week, or whole days like 28d.\n\
         series: {{value: count(*), period: week}}\n\
         # 谁来判断;forewarn detect 列出所有方法。 Who judges; forewarn detect lists the methods there are.\n\
         detector: {{bayes_predictive: {{history: 12, alpha: 0.001}}}}\n\
         # 何时告警:方法报警,且数目够大。 When: the detector alarms, and the value is worth it.\n\
         when: alarm and value >= 5\n\
         # 一个词,或按条件分级。 One word, or conditions.\n\
         severity: {{high: value >= 20, else: medium}}\n"
    );
    // Fourteen weeks of two a week up to the Monday of the tests.
    let history = example.rows(-98, 28, 84, &subject)?;
    let week = |count| -> Result<Vec<String>, Missing> {
        Ok([history.clone(), example.rows(0, count, 11, &subject)?].concat())
    };
    Ok(Body {
        one_feed: true,
        fields,
        alert: "  # 不再满足后多久才解除。 How long it must be clear before the alert resolves.\n  keep_for: 7d\n",
        message: (
            format!("{{{called}}} 本周 {{value}} 件,预期 {{expected:.1}} 件"),
            format!("{{{called}}}: {{value}} this week, {{expected:.1}} expected"),
        ),
        firing: Test {
            name: "fourteen in a week after two a week",
            rows: week(14)?,
            until: "2026-03-09",
            expect: format!(
                "key: {{{subject}}}, severity: medium, state: firing, fired: 2026-03-09, value: 14"
            ),
        },
        silent: Test {
            name: "three after two a week are no news",
            rows: week(3)?,
            until: "2026-03-09",
            expect: String::new(),
        },
    })
}
