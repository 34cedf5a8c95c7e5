//! `kind: instant`: one record that says enough by itself.

use super::{
    Body, Missing, Test,
    example::{Example, plain},
};

pub(super) fn body(example: &Example<'_>) -> Result<Body, Missing> {
    let key = example.key().ok();
    // Where only the key is left to ask about, every record stands for itself.
    let (key, question) = match example.question(key) {
        Ok(question) => (key, question),
        Err(_) => (None, example.question(None)?),
    };
    let (asked, sql, params) = (&question.column.name, plain(&question.sql), &question.params);
    let mut fields = String::new();
    let mut subject = String::new();
    if let Some(key) = key {
        fields.push_str("# 告警归谁。 Whom the alert is about.\n");
        fields.push_str(&format!("key: [{}]\n", key.name));
        subject = format!("{}: {}, ", key.name, example.value(key));
    }
    if !params.is_empty() {
        fields.push_str("# 可调的数,写作 $名。 Numbers to tune, written $name.\n");
        fields.push_str(params);
    }
    fields.push_str(&format!(
        "# 哪条记录要告警(SQL 条件)。 Which record raises an alert (an SQL condition).\n\
         when: {sql}\n\
         # 一个词,或按条件分级。 One word, or conditions: {{high: …, else: medium}}\n\
         severity: medium\n"
    ));
    let called = key.map_or_else(|| asked.clone(), |key| example.called(key));
    let state = "severity: medium, state: firing, fired: 2026-03-02";
    let expect = match key {
        Some(key) => format!("key: {{{}: {}}}, {state}", key.name, example.value(key)),
        None => state.to_owned(),
    };
    Ok(Body {
        one_feed: true,
        fields,
        alert: "",
        message: (
            format!("{{{called}}}:{asked} 为 {{{asked}}}"),
            format!("{{{called}}}: {asked} is {{{asked}}}"),
        ),
        firing: Test {
            name: "a record that meets the condition",
            rows: example.rows(0, 1, 0, &format!("{subject}{asked}: {}", question.yes))?,
            until: "2026-03-04",
            expect,
        },
        silent: Test {
            name: "a record that does not",
            rows: example.rows(0, 1, 0, &format!("{subject}{asked}: {}", question.no))?,
            until: "2026-03-04",
            expect: String::new(),
        },
    })
}
