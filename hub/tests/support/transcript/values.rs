//! JSON strings and numbers that are written differently and equal as values.

/// `text` with every JSON string and number written in one way; order and all else as it was.
pub(super) fn by_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| matches!(c, '"' | '-') || c.is_ascii_digit()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = string(rest).or_else(|| number(rest)).unwrap_or(0);
        let (token, after) = rest.split_at(length.max(1));
        out.push_str(&canonical(token).unwrap_or_else(|| token.to_owned()));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The length of the string at the start of `text`.
fn string(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    if bytes.next()?.1 != b'"' {
        return None;
    }
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at + 1),
            b'\\' => drop(bytes.next()?),
            _ => {}
        }
    }
    None
}

/// The length of the number at the start of `text`.
fn number(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut end = usize::from(bytes.first() == Some(&b'-'));
    end += Some(digits(end)).filter(|&n| n > 0)?;
    if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if digits((end + 1 + sign).min(bytes.len())) > 0 {
            end += 1 + sign + digits(end + 1 + sign);
        }
    }
    Some(end)
}

fn canonical(token: &str) -> Option<String> {
    if token.starts_with('"') {
        let value: String = serde_json::from_str(token).ok()?;
        return serde_json::to_string(&value).ok();
    }
    let digits = token.strip_prefix('-').unwrap_or(token).as_bytes();
    if digits.first() == Some(&b'0') && digits.get(1).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    if digits.iter().all(u8::is_ascii_digit) {
        return Some(if digits == b"0" { "0" } else { token }.to_owned());
    }
    let value: f64 = token.parse().ok()?;
    let whole = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
    Some(if whole {
        format!("{}", value as i64)
    } else {
        format!("{value:?}")
    })
}

#[test]
fn json_is_equal_when_its_strings_and_numbers_are_equal_as_values() {
    for (one, other) in [
        (r#"{"a":1.0}"#, r#"{"a":1}"#),
        (r#"["\u00e9\u0022"]"#, r#"["é\""]"#),
        ("[1e2,-0.0,2.50]", "[100,0,2.5]"),
    ] {
        assert_eq!(by_value(one), by_value(other));
    }
    for (one, other) in [
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
        ("[1]", "[\"1\"]"),
        ("[1]", "[ 1]"),
        ("[9007199254740993]", "[9007199254740992]"),
        ("[01]", "[1]"),
        ("\"a", "\"b"),
    ] {
        assert_ne!(by_value(one), by_value(other));
    }
}
