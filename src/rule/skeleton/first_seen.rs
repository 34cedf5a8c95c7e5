//! `kind: first_seen`: a key that comes for the first time, or again after long.

use super::{Body, Missing, Test, example::Example};

pub(super) fn body(example: &Example<'_>) -> Result<Body, Missing> {
    let key = example.key()?;
    let (name, called) = (&key.name, example.called(key));
    let subject = format!("{name}: {}", example.value(key));
    let fields = format!(
        "# 什么算新:这些列的一组值。 What is new: these columns together.\n\
         key: [{name}]\n\
         # 多久没有出现过才算新;也是记住一个值的时间。 New is what had no record for so long; keys are remembered that long.\n\
         history: 730d\n\
         # 数据源最初这么久只学习,不告警。 For so long from the feed's first day everything is taken for known.\n\
         learn_for: 180d\n\
         # 出现几次才告警。 How many records it takes.\n\
         at_least: 2\n\
         # 一个词,或按记录的列分级。 One word, or conditions over the record's columns.\n\
         severity: medium\n"
    );
    Ok(Body {
        one_feed: true,
        fields,
        alert: "",
        message: (
            format!("{{{called}}} 首次出现,自 {{first_at}}"),
            format!("{{{called}}} was never seen before {{first_at}}"),
        ),
        firing: Test {
            name: "the second record of a new key",
            rows: example.rows(0, 2, 24, &subject)?,
            until: "2026-03-10",
            expect: format!(
                "key: {{{subject}}}, severity: medium, state: firing, fired: 2026-03-03"
            ),
        },
        silent: Test {
            name: "one record is not enough",
            rows: example.rows(0, 1, 0, &subject)?,
            until: "2026-03-10",
            expect: String::new(),
        },
    })
}
