//! Unified social credit codes (GB 32100-2015) and the two older codes that are still met in feeds.
//!
//! In: a code as an office sent it. Out: the folded code, or the reason why it is none. Folding takes away blanks, full
//! width and lower case; it never replaces a letter by a similar digit: that is only suggested.
//! The check character of the inner organisation code is not judged here: only position 18 is the code's own check.

use std::borrow::Cow;

/// The 31 characters of a unified social credit code; a character's value is its position.
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// `3^i mod 31`, the weights of the first 17 characters.
const WEIGHTS: [u16; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];

/// Weights of the first 8 characters of an organisation code (GB 11714).
const ORG_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];

/// Value of each byte in [`ALPHABET`], 255 for all others.
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut i = 0;
    while i < ALPHABET.len() {
        values[ALPHABET[i] as usize] = i as u8;
        i += 1;
    }
    values
};

/// Why a text is not a code of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Blanks or hyphens inside or around it; folding takes them away.
    #[error("has blanks or hyphens in it, which folding takes away")]
    Format,
    /// Lower case; folding raises it.
    #[error("is in lower case, which folding raises")]
    Case,
    /// Full-width characters; folding narrows them.
    #[error("is in full-width characters, which folding narrows")]
    Width,
    /// Too many or too few characters.
    #[error("has {found} characters instead of {expected}")]
    Length {
        /// Characters found.
        found: usize,
        /// Characters of a code of this kind.
        expected: usize,
    },
    /// A character that codes of this kind do not use.
    #[error("holds {found:?} at position {position}, which codes of this kind do not use")]
    Alphabet {
        /// The character.
        found: char,
        /// Its position, from 1.
        position: usize,
    },
    /// The last character does not follow from the others.
    #[error("ends with {found:?} where its other characters demand {expected:?}")]
    Check {
        /// The last character.
        found: char,
        /// What it would be if the others are right.
        expected: char,
    },
}

impl Fault {
    /// The word for tables and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Case => "case",
            Self::Width => "width",
            Self::Length { .. } => "length",
            Self::Alphabet { .. } => "alphabet",
            Self::Check { .. } => "check",
        }
    }
}

/// The code in half width and upper case, without blanks and hyphens. Borrowed when nothing had to be done.
#[must_use]
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
        return Cow::Borrowed(text);
    }
    let folded = text.chars().map(narrow).filter(|c| !is_filler(*c));
    Cow::Owned(folded.map(|c| c.to_ascii_uppercase()).collect())
}

/// Full-width forms (U+FF01–U+FF5E) and the ideographic blank as their ASCII counterparts.
#[must_use]
pub fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from((c as u32 - 0xfee0) as u8),
        '\u{3000}' => ' ',
        _ => c,
    }
}

fn is_filler(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{200b}' | '\u{feff}')
}

/// What folding would change, if anything.
fn needs_folding(text: &str) -> Option<Fault> {
    if text.chars().any(|c| !is_filler(c) && narrow(c) != c) {
        return Some(Fault::Width);
    }
    if text.chars().any(|c| is_filler(narrow(c))) {
        return Some(Fault::Format);
    }
    text.bytes().any(|b| b.is_ascii_lowercase()).then_some(Fault::Case)
}

/// Is `code`, as it stands, a unified social credit code?
///
/// # Errors
/// The first [`Fault`], those that folding mends before all others.
pub fn check(code: &str) -> Result<(), Fault> {
    check_folded_first(code, check_folded)
}

/// Folds `text` and checks it: what feeds do with a `ucc` column.
///
/// # Errors
/// The first [`Fault`] that folding does not mend.
pub fn read(text: &str) -> Result<Cow<'_, str>, Fault> {
    let folded = fold(text);
    check_folded(&folded)?;
    Ok(folded)
}

/// Check of an organisation code (GB 11714): 8 characters and a check character, the hyphen before it left out.
///
/// # Errors
/// The first [`Fault`].
pub fn check_organisation(code: &str) -> Result<(), Fault> {
    check_folded_first(code, |code| {
        let length = code.chars().count();
        if length != 9 {
            return Err(Fault::Length { found: length, expected: 9 });
        }
        let mut sum = 0;
        for (i, c) in code.chars().enumerate() {
            let value = c.to_digit(36).filter(|_| c.is_ascii());
            let value = value.ok_or(Fault::Alphabet { found: c, position: i + 1 })?;
            sum += ORG_WEIGHTS.get(i).map_or(0, |w| w * value);
        }
        last_is(code, char::from(organisation_end(sum)))
    })
}

/// Check of a 15-digit registration number (GS 15-2006, ISO 7064 MOD 11,10).
///
/// # Errors
/// The first [`Fault`].
pub fn check_registration(code: &str) -> Result<(), Fault> {
    check_folded_first(code, |code| {
        let length = code.chars().count();
        if length != 15 {
            return Err(Fault::Length { found: length, expected: 15 });
        }
        let mut p = 10;
        for (i, c) in code.chars().enumerate() {
            let digit = c.to_digit(10).ok_or(Fault::Alphabet { found: c, position: i + 1 })?;
            if i < 14 {
                let s = (p + digit) % 10;
                p = if s == 0 { 10 } else { s } * 2 % 11;
            }
        }
        last_is(code, char::from(b'0' + ((11 - p) % 10) as u8))
    })
}

/// The valid code that someone meant who wrote the letters I, O, S, Z or V for the digits and letters they resemble.
///
/// A suggestion for people: two codes may be that near.
#[must_use]
pub fn suggest(text: &str) -> Option<String> {
    let similar = |c| match c {
        'I' => '1',
        'O' => '0',
        'S' => '5',
        'Z' => '2',
        'V' => 'U',
        c => c,
    };
    let meant: String = fold(text).chars().map(similar).collect();
    (meant != text && check_folded(&meant).is_ok()).then_some(meant)
}

fn check_folded_first(code: &str, check: impl Fn(&str) -> Result<(), Fault>) -> Result<(), Fault> {
    match needs_folding(code) {
        Some(fault) => check(&fold(code)).and(Err(fault)),
        None => check(code),
    }
}

fn check_folded(code: &str) -> Result<(), Fault> {
    let bytes = code.as_bytes();
    if bytes.len() != 18 {
        return Err(Fault::Length { found: code.chars().count(), expected: 18 });
    }
    let mut sum = 0;
    for (&b, w) in bytes.iter().zip(WEIGHTS) {
        let value = VALUES[usize::from(b)];
        if value == 255 {
            return Err(first_foreign(code));
        }
        sum += u16::from(value) * w;
    }
    let expected = end(sum);
    if bytes[17] == expected {
        return Ok(());
    }
    if VALUES[usize::from(bytes[17])] == 255 {
        return Err(first_foreign(code));
    }
    last_is(code, char::from(expected))
}

/// The last character of a code whose other characters have this weighted sum.
fn end(sum: u16) -> u8 {
    // The outer remainder matters: a sum that 31 divides demands the character of value 0.
    ALPHABET[usize::from((31 - sum % 31) % 31)]
}

/// The last character of an organisation code whose other characters have this weighted sum.
fn organisation_end(sum: u32) -> u8 {
    match 11 - sum % 11 {
        10 => b'X',
        11 => b'0',
        r => b'0' + r as u8,
    }
}

/// The code with both check characters, for made-up businesses: `head` is department, kind and region, `organisation`
/// the first eight characters of the organisation code, each as the value of its character (0 to 30; 31 wraps to 0).
#[must_use]
pub fn compose(head: [u8; 8], organisation: [u8; 8]) -> [u8; 18] {
    let mut code = [b'0'; 18];
    for (c, value) in code.iter_mut().zip(head.into_iter().chain(organisation)) {
        *c = ALPHABET[usize::from(value % 31)];
    }
    // Letters count from 10 without gaps in an organisation code, where the other alphabet leaves five out.
    let in_36 = |c: u8| u32::from(if c.is_ascii_digit() { c - b'0' } else { c - b'A' + 10 });
    code[16] =
        organisation_end(code[8..16].iter().zip(ORG_WEIGHTS).map(|(c, w)| in_36(*c) * w).sum());
    let value = |c: &u8| u16::from(VALUES[usize::from(*c)]);
    code[17] = end(code.iter().zip(WEIGHTS).map(|(c, w)| value(c) * w).sum());
    code
}

fn first_foreign(code: &str) -> Fault {
    let foreign = |c: char| !c.is_ascii() || VALUES[c as usize] == 255;
    let at = code.chars().enumerate().find(|(_, c)| foreign(*c));
    let (i, found) = at.unwrap_or((0, ' '));
    Fault::Alphabet { found, position: i + 1 }
}

fn last_is(code: &str, expected: char) -> Result<(), Fault> {
    match code.chars().next_back() {
        Some(found) if found != expected => Err(Fault::Check { found, expected }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind, code and the word of its fault; examples printed in the standards and publicly known codes.
    const EXAMPLES: &[(&str, &str, &str)] = &[
        ("ucc", "91350100M000100Y43", ""),
        ("ucc", "9152000071430580XT", ""),
        ("ucc", "11100000MB0143028R", ""),
        ("ucc", "911100001000054748", ""),
        ("ucc", "914403001922038217", "check"),
        ("ucc", "914403001922038261", "check"),
        ("ucc", "91350100M000100Y4Z", "alphabet"),
        ("ucc", "9135010OM000100Y43", "alphabet"),
        ("ucc", "9144030070846113", "length"),
        ("ucc", "", "length"),
        ("ucc", "湖南省市场监管", "length"),
        ("ucc", "湖南省市场监", "alphabet"),
        ("ucc", "9144 0300 7084 61136T", "format"),
        ("ucc", " 91440300708461136T", "format"),
        ("ucc", "91440300708461136t", "case"),
        ("ucc", "９１４４０３００７０８４６１１３６Ｔ", "width"),
        ("org", "D2143569X", ""),
        ("org", "D2143569-X", "format"),
        ("org", "192203821", ""),
        ("org", "D21435690", "check"),
        ("org", "D21435", "length"),
        ("reg", "110108000000016", ""),
        ("reg", "110108000000017", "check"),
        ("reg", "11010800000001A", "alphabet"),
    ];

    fn fault(kind: &str, code: &str) -> &'static str {
        let result = match kind {
            "ucc" => check(code),
            "org" => check_organisation(code),
            _ => check_registration(code),
        };
        result.map_or_else(Fault::word, |()| "")
    }

    #[test]
    fn composed_codes_are_valid() {
        for i in 0..=255_u8 {
            let head = [9, 1, 4, 3, 0, 1, 0, i];
            let code = compose(head, [29, 29, i / 7, i, 30, i / 3, i ^ 21, 255 - i]);
            let text = std::str::from_utf8(&code).unwrap();
            assert_eq!(check(text), Ok(()), "{text}");
            assert_eq!(check_organisation(&text[8..17]), Ok(()), "{text}");
        }
    }

    #[test]
    fn examples_of_the_standards() {
        for (kind, code, word) in EXAMPLES {
            assert_eq!(fault(kind, code), *word, "{kind} {code:?}");
        }
    }

    #[test]
    fn shared_vectors() {
        let shared = std::env::var("FOREWARN_SHARED_DIR");
        let shared = shared.unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").into());
        let path = format!("{shared}/domain/ucc_vectors.csv");
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("skipped: {path} is not there");
            return;
        };
        let mut rows = 0;
        for line in text.lines().skip(1) {
            let [kind, code, valid, reason] = *line.split(',').take(4).collect::<Vec<_>>() else {
                panic!("{line}")
            };
            let found = fault(kind, code);
            assert_eq!(found.is_empty(), valid == "true", "{line}");
            assert_eq!(found, reason, "{line}");
            rows += 1;
        }
        assert!(rows >= 38, "{rows} rows");
    }

    #[test]
    fn reading_folds() {
        for text in
            [" 9144 0300 7084 61136T", "91440300708461136t", "９１４４０３００７０８４６１１３６ｔ"]
        {
            assert_eq!(read(text).unwrap(), "91440300708461136T", "{text:?}");
        }
        assert!(matches!(read("91440300708461136T"), Ok(Cow::Borrowed(_))));
        assert_eq!(read("914403007084611369").unwrap_err().word(), "check");
    }

    #[test]
    fn similar_letters_are_suggested_never_replaced() {
        assert_eq!(suggest("9135O1OOMOOO1OOY43").as_deref(), Some("91350100M000100Y43"));
        assert!(read("9135O1OOMOOO1OOY43").is_err());
        assert_eq!(suggest("914403001922038217"), None);
    }
}
