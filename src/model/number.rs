//! Numbers as offices write them: `1,234.50`, `￥12`, `１２`, `3.0`.

use std::borrow::Cow;

use super::reference::ucc::narrow;

/// A whole number; `12.0` and `1e3` are whole.
#[must_use]
pub fn int(text: &str) -> Option<i64> {
    if let Ok(n) = text.parse() {
        return Some(n);
    }
    i64::try_from(decimal(text, 0, 1, false)?).ok()
}

/// A finite binary number.
#[must_use]
pub fn float(text: &str) -> Option<f64> {
    let read = |t: &str| t.parse::<f64>().ok().filter(|f| f.is_finite());
    // `parse` also reads "inf" and "nan", which no office means.
    let numeric =
        |t: &str| t.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    if numeric(text) {
        return read(text);
    }
    let tidy = tidy(text)?;
    numeric(&tidy).then(|| read(&tidy))?
}

/// `text × times` with `scale` digits behind the point, as the whole number of smallest units.
///
/// Further digits are rounded half away from zero, or refused where `round` is false.
#[must_use]
pub fn decimal(text: &str, scale: i8, times: i64, round: bool) -> Option<i128> {
    let (mantissa, exponent) = match parts(text) {
        Some(parts) => parts,
        None => parts(&tidy(text)?)?,
    };
    let mantissa = mantissa.checked_mul(i128::from(times))?;
    let shift = exponent + i32::from(scale);
    if shift >= 0 {
        return mantissa.checked_mul(10i128.checked_pow(shift as u32)?);
    }
    let Some(divisor) = 10i128.checked_pow(shift.unsigned_abs()) else {
        return (round || mantissa == 0).then_some(0);
    };
    let (whole, rest) = (mantissa / divisor, mantissa % divisor);
    if rest == 0 {
        return Some(whole);
    }
    let up = i128::from(rest.abs() >= divisor - rest.abs());
    round.then_some(whole + up * rest.signum())
}

/// Mantissa and decimal exponent of `-12.50e3`.
fn parts(text: &str) -> Option<(i128, i32)> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match number.as_bytes().first()? {
        b'-' => (true, &number[1..]),
        b'+' => (false, &number[1..]),
        _ => (false, number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut mantissa: i128 = 0;
    for b in whole.bytes().chain(fraction.bytes()) {
        let digit = b.is_ascii_digit().then(|| i128::from(b - b'0'))?;
        mantissa = mantissa.checked_mul(10)?.checked_add(digit)?;
    }
    let exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    // Beyond this no 18-digit decimal is left, and powers of ten would overflow.
    (exponent.abs() < 1_000).then_some((if negative { -mantissa } else { mantissa }, exponent))
}

/// Half width, without thousands separators, blanks and currency signs. `None` when a comma stands elsewhere than
/// between groups of three digits: `1,5` may mean one and a half.
fn tidy(text: &str) -> Option<Cow<'_, str>> {
    let narrow: String = text.chars().map(narrow).filter(|c| !c.is_whitespace()).collect();
    let bare = narrow.trim_start_matches(['¥', '￥', '$']);
    let bare = bare.strip_suffix('元').unwrap_or(bare);
    let (whole, rest) = bare.split_once('.').map_or((bare, ""), |(w, r)| (w, r));
    if rest.contains(',') {
        return None;
    }
    let mut groups = whole.split(',');
    let first = groups.next()?.trim_start_matches(['-', '+']);
    let grouped = whole.contains(',');
    if grouped && (first.is_empty() || first.len() > 3 || groups.any(|g| g.len() != 3)) {
        return None;
    }
    Some(Cow::Owned(bare.replace(',', "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ints() {
        for (text, expect) in [
            ("12", Some(12)),
            ("-7", Some(-7)),
            ("12.0", Some(12)),
            ("1e3", Some(1000)),
            ("1,234,567", Some(1_234_567)),
            ("１２", Some(12)),
            ("12.5", None),
            ("1,5", None),
            ("12,34", None),
            ("", None),
            ("-", None),
            (".", None),
            ("十二", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("1e400", None),
            ("0x10", None),
        ] {
            assert_eq!(int(text), expect, "{text:?}");
        }
    }

    #[test]
    fn floats() {
        for (text, expect) in [
            ("1.5", Some(1.5)),
            ("-2e3", Some(-2000.0)),
            ("￥1,000.25元", Some(1000.25)),
            ("nan", None),
        ] {
            assert_eq!(float(text), expect, "{text:?}");
        }
        for bad in ["inf", "-Infinity", "", "1e999", "1.2.3", "未检出", "<0.01"] {
            assert_eq!(float(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn decimals_in_smallest_units() {
        for (text, times, expect) in [
            ("12.5", 1, Some(1250)),
            ("0.123456", 10_000, Some(123_456)),
            ("5", 10_000, Some(5_000_000)),
            ("-1.005", 1, Some(-101)),
            ("1.004", 1, Some(100)),
            ("1.2e2", 1, Some(12_000)),
            ("33.000000000001", 1, Some(3_300)),
            ("1e-40", 1, Some(0)),
            ("1e40", 1, None),
            ("5万元", 1, None),
            ("12元", 1, Some(1200)),
        ] {
            assert_eq!(decimal(text, 2, times, true), expect, "{text:?}");
        }
        assert_eq!(decimal("0.005", 2, 1, false), None);
    }
}
