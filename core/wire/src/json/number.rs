//! Numbers: which are canonical, and how Python prints those that are not (CJ-2, CJ-5, CJ-7).

use crate::limits;
use alloc::{borrow::Cow, format, string::String};

/// What becomes of a number that is no integer within ±(2⁵³ − 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Numbers {
    /// It is refused (CJ-2).
    Strict,
    /// It stays as it was written: for what is signed as a part of a larger body (FED-1) or thrown away with
    /// `unsigned` (EV-20).
    Kept,
    /// It becomes what Python makes of it: integers of any size stay, others are printed as a double (CJ-5). For events
    /// of versions 1 to 5.
    Python,
}

/// Digits of an integer that Python reads at most, unless it is told otherwise.
const PYTHON_DIGITS: usize = 4300;

/// Why a number token is not canonical where `Numbers::Strict` holds; `None` if it is. The token keeps to JSON's grammar.
pub(super) fn strict_offence(token: &str) -> Option<&'static str> {
    if token.contains('.') && !token.contains(['e', 'E']) {
        return Some("a number has a fraction; canonical JSON has integers only (CJ-2)");
    }
    if token.contains(['e', 'E']) {
        return Some("a number has an exponent; canonical JSON has integers only (CJ-2)");
    }
    if token == "-0" {
        return Some("`-0` is not canonical JSON (CJ-7)");
    }
    if is_in_range(token) {
        None
    } else {
        Some("an integer is outside ±(2^53 − 1) (CJ-2)")
    }
}

/// Whether an integer token is within ±(2⁵³ − 1).
pub(super) fn is_in_range(token: &str) -> bool {
    // 15 digits always are.
    token.len() <= 15
        || token
            .parse::<i64>()
            .is_ok_and(|int| int.unsigned_abs() <= limits::MAX_INT.unsigned_abs())
}

/// A number token as Python prints what it reads of it; `None` where it cannot read or print it: an integer of more
/// than 4,300 digits, a double that overflows.
pub(super) fn python(token: &str) -> Option<Cow<'_, str>> {
    if !token.contains(['.', 'e', 'E']) {
        if token == "-0" {
            return Some("0".into());
        }
        return (token.trim_start_matches('-').len() <= PYTHON_DIGITS).then_some(token.into());
    }
    let double: f64 = token.parse().ok()?;
    double.is_finite().then(|| repr(double).into())
}

/// A finite double as Python's `repr` prints it: the fewest digits that give it back, with an exponent below 10⁻⁴ and
/// from 10¹⁶ on.
fn repr(double: f64) -> String {
    let shortest = shortest(double.abs());
    let sign = if double.is_sign_negative() { "-" } else { "" };
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = mantissa.replace('.', "");
    if !(-4..16).contains(&exponent) {
        let direction = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{direction}{:02}", exponent.unsigned_abs());
    }
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = exponent.unsigned_abs() as usize + 1;
    if digits.len() <= whole {
        return format!("{sign}{digits}{}.0", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

/// The fewest digits that give a double back; of two such texts at the same distance from it that with the even last digit,
/// as in Python, where Rust takes the greater.
fn shortest(double: f64) -> String {
    let shortest = format!("{double:e}");
    let mantissa = shortest.find('e').unwrap_or(shortest.len());
    let even = format!("{double:.*e}", mantissa.saturating_sub(2));
    // Below a power of two doubles are closer to each other, so that the even one can be another's.
    if even.parse() == Ok(double) {
        even
    } else {
        shortest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_python_prints_them() {
        let cases = [
            ("1e10", "10000000000.0"),
            ("1.10", "1.1"),
            ("1E-7", "1e-07"),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("0e5", "0.0"),
            ("1e16", "1e+16"),
            ("9999999999999998.0", "9999999999999998.0"),
            ("1e15", "1000000000000000.0"),
            ("123456789.125", "123456789.125"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("-1.5e-300", "-1.5e-300"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("5e-324", "5e-324"),
            ("2.5", "2.5"),
            ("100.0", "100.0"),
            ("12345678901234567890", "12345678901234567890"),
            ("-9007199254740993", "-9007199254740993"),
            ("0.1", "0.1"),
            ("985026031798570.25", "985026031798570.2"),
            ("-985026031798570.75", "-985026031798570.8"),
            ("200181982214456.125", "200181982214456.12"),
            ("5.684341886080801486968994140625e-14", "5.684341886080802e-14"),
        ];
        for (token, printed) in cases {
            assert_eq!(python(token).as_deref(), Some(printed), "{token}");
        }
        assert_eq!(python("1e309"), None);
        assert_eq!(python(&"9".repeat(4301)), None);
        assert_eq!(python(&"9".repeat(4300)).map(|text| text.len()), Some(4300));
    }

    #[test]
    fn the_range_ends_at_two_to_the_53rd_minus_one() {
        assert!(is_in_range("9007199254740991") && is_in_range("-9007199254740991"));
        assert!(!is_in_range("9007199254740992") && !is_in_range("-9007199254740992"));
        assert!(!is_in_range("99999999999999999999999"));
    }
}
