//! Names: a heading → the name of a column, as the shipped feeds give it.
//!
//! In: headings of a sample. Out: the shipped feed that knows most of them, and names that no SQL word or other column has.

use std::{path::Path, sync::LazyLock};

use super::values::Guess;
use crate::{
    feed::{
        read::SQL_WORDS,
        spec::{self, FeedSpec},
    },
    model::{schema::ColumnType, time::Zone},
};

/// The shipped feeds, whose headings are known.
const SHIPPED: [(&str, &str); 10] = [
    ("complaints", include_str!("../../../rules/feeds/complaints.yaml")),
    ("sampling", include_str!("../../../rules/feeds/sampling.yaml")),
    ("penalties", include_str!("../../../rules/feeds/penalties.yaml")),
    ("inspections", include_str!("../../../rules/feeds/inspections.yaml")),
    ("registry", include_str!("../../../rules/feeds/registry.yaml")),
    ("abnormal", include_str!("../../../rules/feeds/abnormal.yaml")),
    ("court", include_str!("../../../rules/feeds/court.yaml")),
    ("accidents", include_str!("../../../rules/feeds/accidents.yaml")),
    ("recalls", include_str!("../../../rules/feeds/recalls.yaml")),
    ("commitments", include_str!("../../../rules/feeds/commitments.yaml")),
];

/// Headings of many exports that belong to no shipped feed.
const COMMON: [(&str, &str); 40] = [
    ("报警编号", "alarm_no"),
    ("报警时间", "reported_at"),
    ("来电时间", "called_at"),
    ("区县代码", "region"),
    ("区县", "county"),
    ("街道", "township"),
    ("事件类型", "event_kind"),
    ("设备注册代码", "device_no"),
    ("救援用时", "rescue_minutes"),
    ("用时", "minutes"),
    ("责任人", "person_hash"),
    ("产品名称", "product_name"),
    ("规格型号", "model"),
    ("行业", "industry"),
    ("经度", "longitude"),
    ("纬度", "latitude"),
    ("序号", "row_no"),
    ("编号", "record_no"),
    ("名称", "name"),
    ("单位名称", "name"),
    ("地址", "address"),
    ("日期", "day"),
    ("时间", "at"),
    ("年份", "year"),
    ("月份", "month"),
    ("金额", "amount_yuan"),
    ("数量", "quantity"),
    ("单价", "unit_price_yuan"),
    ("单位", "unit"),
    ("类型", "kind"),
    ("类别", "category"),
    ("等级", "level"),
    ("结果", "result"),
    ("状态", "state"),
    ("原因", "reason"),
    ("备注", "note"),
    ("电话", "phone_hash"),
    ("联系人", "contact_hash"),
    ("姓名", "person_hash"),
    ("身份证号", "person_id_hash"),
];

static FEEDS: LazyLock<Vec<FeedSpec>> = LazyLock::new(|| {
    let read = |(name, text): &(&str, &str)| {
        spec::check(Path::new(&format!("{name}.yaml")), text, &Zone::utc()).0
    };
    SHIPPED.iter().filter_map(read).collect()
});

/// The shipped feed that knows most of the headings, and how many.
pub(super) fn nearest(headings: &[String]) -> (Option<&'static FeedSpec>, usize) {
    let hits = |f: &FeedSpec| headings.iter().filter(|h| column_of(f, h).is_some()).count();
    let best = FEEDS.iter().map(|f| (hits(f), f)).max_by_key(|(n, _)| *n);
    best.filter(|(n, _)| *n > 0).map_or((None, 0), |(n, f)| (Some(f), n))
}

/// The column of a shipped feed that reads `heading`, by its own name before any other's.
fn column_of<'f>(feed: &'f FeedSpec, heading: &str) -> Option<&'f str> {
    let columns = &feed.schema.columns;
    let own = columns.iter().find(|c| c.name == heading);
    let found = own.or_else(|| columns.iter().find(|c| c.from.iter().any(|f| f == heading)));
    found.map(|c| c.name.as_str())
}

/// The type, unless the shipped feeds read the heading as texts: codes made of digits, names that hold a separator.
pub(super) fn as_shipped(kind: ColumnType, heading: &str, near: Option<&FeedSpec>) -> ColumnType {
    use ColumnType::{Float, Int, Text, Texts};
    let of = |f: &FeedSpec| {
        let name = column_of(f, heading)?;
        f.schema.columns.iter().find(|c| c.name == name).map(|c| c.kind)
    };
    match (kind, near.and_then(of).or_else(|| FEEDS.iter().find_map(of))) {
        (Int | Float | Texts, Some(Text)) => Text,
        (Text, Some(Texts)) => Texts,
        _ => kind,
    }
}

pub(super) fn name_of(heading: &str, near: Option<&'static FeedSpec>, number: usize) -> String {
    let known = near.and_then(|f| column_of(f, heading));
    let known = known.or_else(|| FEEDS.iter().find_map(|f| column_of(f, heading)));
    // A unit in brackets is no part of the name.
    let bare = heading.split(['(', '（', '[']).next().unwrap_or_default().trim();
    let known = known.or_else(|| FEEDS.iter().find_map(|f| column_of(f, bare)));
    let known = known.or_else(|| COMMON.iter().find(|(h, _)| *h == bare).map(|(_, name)| *name));
    if let Some(name) = known {
        return name.to_owned();
    }
    let mut snake = String::new();
    for c in heading.chars() {
        match c {
            'A'..='Z' if snake.ends_with(|p: char| p.is_ascii_lowercase()) => {
                snake.push('_');
                snake.push(c.to_ascii_lowercase());
            }
            _ if c.is_ascii_alphanumeric() => snake.push(c.to_ascii_lowercase()),
            _ if c.is_ascii() && !snake.ends_with('_') && !snake.is_empty() => snake.push('_'),
            _ => {}
        }
    }
    let snake = snake.trim_end_matches('_');
    // A name of a few letters out of a Chinese heading ("GB标准") would say less than its number.
    let is_ascii = heading.is_ascii() && snake.starts_with(|c: char| c.is_ascii_lowercase());
    if is_ascii { snake.to_owned() } else { format!("column_{number}") }
}

pub(super) fn free_name(name: String, taken: &[Guess]) -> String {
    let name = if SQL_WORDS.contains(&name.as_str()) { format!("{name}_value") } else { name };
    let is_taken = |name: &str| taken.iter().any(|g| g.name == name);
    if !is_taken(&name) {
        return name;
    }
    let numbered = (2..).map(|n| format!("{name}_{n}")).find(|n| !is_taken(n));
    numbered.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_feed_is_known() {
        assert_eq!(FEEDS.len(), SHIPPED.len());
    }
}
