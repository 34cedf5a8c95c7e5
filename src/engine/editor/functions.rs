//! What functions do, for completion and hover: those of the house, and those of SQL that rules use most.

/// A function as authors are told about it.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub form: &'static str,
    /// What it gives, Chinese.
    pub zh: &'static str,
    /// What it gives, English.
    pub en: &'static str,
    /// Whether it counts or sums over the rows of a window.
    pub aggregate: bool,
}

const fn one(
    name: &'static str,
    form: &'static str,
    zh: &'static str,
    en: &'static str,
) -> Function {
    Function { name, form, zh, en, aggregate: false }
}

const fn many(
    name: &'static str,
    form: &'static str,
    zh: &'static str,
    en: &'static str,
) -> Function {
    Function { name, form, zh, en, aggregate: true }
}

/// All of them.
pub const FUNCTIONS: &[Function] = &[
    one(
        "in_list",
        "in_list('list', value[, day])",
        "名单里有没有这个值;有起止日期的名单按该记录当天查。",
        "Whether the list holds the value; a dated list is asked as of the record's day.",
    ),
    one(
        "contains_any",
        "contains_any(text, 'words')",
        "文本里有没有任一关键词:关键词表名,或 '词|词|词'。",
        "Whether the text holds any word: the name of a keyword list, or 'word|word|word'.",
    ),
    one(
        "region_at",
        "region_at(code, 'city')",
        "区划代码所在的 province、city、county、township 或 village。",
        "The province, city, county, township or village that a region code lies in.",
    ),
    one(
        "workdays_between",
        "workdays_between(from, to)",
        "两日之间的工作日数,按国务院放假安排。",
        "Working days between two days, by the holidays of the State Council.",
    ),
    one(
        "plain_name",
        "plain_name(name)",
        "企业名称的归一写法:全半角、空格、括号、组织形式的差异都去掉,便于归并。",
        "A business name without differences of width, spaces, brackets and legal form, to group by.",
    ),
    one(
        "poisson_upper_p",
        "poisson_upper_p(n, mean)",
        "平均为 mean 时出现 n 件或更多的概率;越小越不寻常。",
        "How likely n or more are where mean is usual; the smaller, the less usual.",
    ),
    one(
        "wilson_lower",
        "wilson_lower(k, n[, confidence])",
        "n 次中 k 次的比例的置信下限;样本少时自动保守。",
        "Lower bound of the share k of n; careful by itself where n is small.",
    ),
    one(
        "wilson_upper",
        "wilson_upper(k, n[, confidence])",
        "n 次中 k 次的比例的置信上限。",
        "Upper bound of the share k of n.",
    ),
    many(
        "count",
        "count(*) / count(distinct column)",
        "件数,或不同值的个数。",
        "How many rows, or how many different values.",
    ),
    many("sum", "sum(column)", "合计。", "The sum."),
    many("avg", "avg(column)", "平均。", "The mean."),
    many("min", "min(column)", "最小值。", "The least value."),
    many("max", "max(column)", "最大值。", "The greatest value."),
    one("coalesce", "coalesce(a, b)", "第一个有值的。", "The first that has a value."),
    one("greatest", "greatest(a, b)", "较大的一个。", "The greater of them."),
    one("least", "least(a, b)", "较小的一个。", "The lesser of them."),
    one(
        "nullif",
        "nullif(a, b)",
        "两者相等时为空;除法前用 nullif(x, 0)。",
        "NULL where both are equal; nullif(x, 0) guards a division.",
    ),
    one(
        "left",
        "left(text, n)",
        "前 n 个字;left(region, 4) 是市。",
        "The first n characters; left(region, 4) is the city.",
    ),
    one(
        "substr",
        "substr(text, from, n)",
        "从第 from 个字起的 n 个字。",
        "n characters from the from-th on.",
    ),
    one("lower", "lower(text)", "小写。", "In lower case."),
    one("upper", "upper(text)", "大写。", "In upper case."),
    one("trim", "trim(text)", "去掉两端空格。", "Without spaces at both ends."),
    one("character_length", "character_length(text)", "字数。", "How many characters."),
    one("abs", "abs(x)", "绝对值。", "Without its sign."),
    one("round", "round(x, digits)", "四舍五入。", "Rounded."),
    one(
        "date_trunc",
        "date_trunc('month', time)",
        "所在月(周、日)的开始。",
        "Start of its month, week or day.",
    ),
];

/// The function of a name, whatever its case.
#[must_use]
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::house;

    #[test]
    fn every_house_function_is_told_about() {
        let untold: Vec<_> = house::NAMES.iter().filter(|n| function(n).is_none()).collect();
        assert!(untold.is_empty(), "{untold:?}");
    }
}
