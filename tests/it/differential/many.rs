//! Many rules together say what each says among few.
//!
//! Rules share slices, filters, sets and the keys that are hot for them; how much they share must not show. So the same rules
//! are run all at once and in groups.

use super::{How, World, check, fail, first_difference, generate, generate::wild_cases, rules};

/// Rules of one group.
const GROUP: usize = 12;

/// Rules of one key that differ in their filter and in what they ask for; half of them wait until a key is hot.
fn fillers() -> Vec<String> {
    let values = [
        "count(*)",
        "sum(cost)",
        "sum(score)",
        "count(distinct who)",
        "min(score)",
        "last_value(amount order by at)",
        "sum(amount)",
        "avg(score)",
    ];
    let rule = |i: usize| {
        let (value, least) = (values[i % values.len()], [1, 4][i / 30]);
        format!(
            "rule: s{i:02}\nstatus: {}\ntitle: {{zh: 规则, en: Rule}}\nkind: window\nfeed: reports\n\
             where: \"coalesce(score, 0) >= {} and coalesce(cost, 0) < {}\"\nkey: [firm]\n\
             window: {{sliding: {}d, every: 1d}}\nmeasures: {{n: count(*), m: \"{value}\"}}\nwhen: n >= {least}\n\
             severity: medium\nalert: {{keep_for: 1d}}\n",
            ["shadow", "live"][i % 2],
            i as i64 % 6 - 2,
            i / 6 + 1,
            [1, 3, 7][i % 3],
        )
    };
    (0..60).map(rule).collect()
}

#[test]
fn many_rules_say_what_each_says_among_few() {
    let seen = std::cell::Cell::new((0, 0));
    check(wild_cases(1..160, 1..6), 6, |case: &generate::Case| {
        let mut all: Vec<String> = case.rules.iter().map(rules::Rule::file).collect();
        all.extend(fillers());
        let world = |rules: &[String]| {
            let rows = |report: bool| {
                let rows = case.rows.iter().filter(|r| r.report == report);
                rows.map(|r| r.line() + "\n").collect::<String>()
            };
            World::of(case.zone, &case.settings.feed_files(), rules, &[rows(true), rows(false)])
        };
        for (shards, batch_rows, eager) in [(1, 1 << 20, false), (2, 16, false), (2, 40, true)] {
            let how = How { shards, batch_rows, eager, ..How::default() };
            let together = world(&all).replay(how);
            let few: Vec<_> = all.chunks(GROUP).map(|rules| world(rules).replay(how)).collect();
            let signals: String = few.iter().map(|w| w.signals.as_str()).collect();
            let mut alerts: Vec<&str> = few.iter().flat_map(|w| w.alerts.lines()).collect();
            let mut of_all: Vec<&str> = together.alerts.lines().collect();
            alerts.sort_unstable();
            of_all.sort_unstable();
            for (what, a, b) in [
                ("signals", &together.signals, &signals),
                ("alerts", &of_all.join("\n"), &alerts.join("\n")),
            ] {
                if let Some(difference) = first_difference(a, b) {
                    return fail(format!("{what} with {how:?}:{difference}"));
                }
            }
            let (s, a) = seen.get();
            seen.set((s + signals.lines().count(), a + alerts.len()));
        }
        Ok(())
    });
    let (signals, alerts) = seen.get();
    println!("{signals} signals, {alerts} alerts");
    assert!(signals > 0 && alerts > 0);
}
