//! `kind: sequence`: one thing, and then another of the same key; or one thing, and then nothing.

use super::{Body, Missing, Test, example::Example};

pub(super) fn body(example: &Example<'_>) -> Result<Body, Missing> {
    let key = example.key()?;
    let (name, called, feed) = (&key.name, example.called(key), &example.feed.feed);
    let subject = format!("{name}: {}", example.value(key));
    let fields = format!(
        "# 谁的先后:同一对象的记录连成一串。 Whose: records of one key make a sequence.\n\
         key: [{name}]\n\
         # 从第一步起最多多久。 How long after its first record a sequence may go on.\n\
         within: 30d\n\
         # 依次发生的事,各有数据源和条件。 What happens, in this order; each step has a feed and perhaps where:.\n\
         steps:\n\
         \x20 - {{as: first, feed: {feed}}}\n\
         \x20 # 之后两次;若要\"之后没有\",改写 absent_for: 30d。 Twice after it; for \"and then nothing\" write absent_for: 30d.\n\
         \x20 - {{as: again, feed: {feed}, at_least: 2}}\n\
         # 一个词,或按条件分级。 One word, or conditions over step.column and step.count.\n\
         severity: medium\n"
    );
    let after = |count| -> Result<Vec<String>, Missing> {
        Ok([example.rows(0, 1, 0, &subject)?, example.rows(3, count, 24, &subject)?].concat())
    };
    Ok(Body {
        one_feed: false,
        fields,
        alert: "",
        message: (
            format!("{{{called}}} 30日内又有 {{again.count}} 件"),
            format!("{{{called}}}: {{again.count}} more within 30 days"),
        ),
        firing: Test {
            name: "two more after the first",
            rows: after(2)?,
            until: "2026-03-10",
            expect: format!(
                "key: {{{subject}}}, severity: medium, state: firing, fired: 2026-03-06"
            ),
        },
        silent: Test {
            name: "one more is not enough",
            rows: after(1)?,
            until: "2026-03-10",
            expect: String::new(),
        },
    })
}
