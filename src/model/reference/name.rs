//! Names of businesses without what does not tell one from another.
//!
//! For records that name a business and give no code: two spellings of one name become equal. Full-width letters become
//! half-width, capitals small; spaces, brackets and other marks go, and so do legal forms at the end. What may tell two
//! businesses apart stays: places, branch words (分公司, 店), numbers. A name is a weak identity: two businesses may bear
//! the same.

/// Legal forms at the end of Chinese names, longest first.
const FORMS_ZH: [&str; 8] = [
    "股份有限责任公司",
    "有限责任公司",
    "股份有限公司",
    "集团有限公司",
    "有限公司",
    "个体工商户",
    "普通合伙",
    "有限合伙",
];
/// Legal forms at the end of names in Latin letters, as words of their own.
const FORMS_LATIN: [&str; 14] = [
    "incorporated",
    "corporation",
    "limited",
    "company",
    "gmbh",
    "corp",
    "cor",
    "inc",
    "llc",
    "llp",
    "ltd",
    "co",
    "sa",
    "bv",
];

/// The name that all spellings of a name have in common; empty where there is no letter or digit in it.
#[must_use]
pub fn plain(name: &str) -> String {
    let mut words: Vec<String> = vec![String::new()];
    for c in name.chars().map(half_width) {
        if c.is_alphanumeric() {
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        } else if !matches!(c, '\'' | '’' | '.') && words.last().is_some_and(|w| !w.is_empty()) {
            // An apostrophe or a point does not end a word: eddie's, l.l.c.
            words.push(String::new());
        }
    }
    words.retain(|w| !w.is_empty());
    while words.len() > 1 && words.last().is_some_and(|w| FORMS_LATIN.contains(&w.as_str())) {
        words.pop();
    }
    let mut plain = words.concat();
    while let Some(shorter) = FORMS_ZH.iter().find_map(|form| plain.strip_suffix(form)) {
        if shorter.is_empty() {
            break;
        }
        plain.truncate(shorter.len());
    }
    plain
}

/// The half-width form of a full-width character.
fn half_width(c: char) -> char {
    match c {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn spellings_of_one_name_are_equal() {
        for spellings in [
            &[
                "NYC Soft Ice Cream Trucks owned by OWNER-A",
                "NYC Soft Ice cream trucks (owned by OWNER-A)",
            ][..],
            &["Eddie’s Ice Cream Cor", "EDDIE'S ICE Cream", "Eddie's Ice Cream, L.L.C."],
            &[
                "长沙某某食品有限公司",
                "长沙某某食品 有限责任公司",
                "长沙某某食品",
                "长沙（某某）食品股份有限公司",
            ],
            &["ＡＢＣ商贸（个体工商户）", "abc商贸"],
        ] {
            let plain: Vec<String> = spellings.iter().map(|s| plain(s)).collect();
            assert!(plain.iter().all(|p| *p == plain[0]), "{plain:?}");
        }
    }

    #[test]
    fn what_tells_businesses_apart_stays() {
        for (one, other) in [
            ("长沙某某食品有限公司", "株洲某某食品有限公司"),
            ("某某超市岳麓店", "某某超市天心店"),
            ("某某有限公司长沙分公司", "某某有限公司"),
            ("第1食品厂", "第2食品厂"),
        ] {
            assert_ne!(plain(one), plain(other), "{one} {other}");
        }
        assert_eq!(plain("有限公司"), "有限公司");
        assert_eq!(plain("Co."), "co");
        assert_eq!(plain("——"), "");
    }
}
