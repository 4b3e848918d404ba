//! Query strings, read as ASP.NET Core reads them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The value of `key`, without regard to case; several are joined with commas. `None` when the key
/// does not occur.
pub(crate) fn query_value(query: &str, key: &str) -> Option<String> {
    let mut found: Option<String> = None;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !decode(name).eq_ignore_ascii_case(key) {
            continue;
        }
        let value = decode(value);
        match &mut found {
            None => found = Some(value.into_owned()),
            Some(found) => {
                found.push(',');
                found.push_str(&value);
            }
        }
    }
    found
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_03_keys_of_any_case_and_repeated_ones_joined() {
        for (query, value) in [
            ("id=a", Some("a")),
            ("ID=a&x=1", Some("a")),
            ("id=a&Id=b", Some("a,b")),
            ("id=", Some("")),
            ("id", Some("")),
            ("i%64=%20a+b%C3%A9", Some(" a bé")),
            ("x=1", None),
            ("", None),
        ] {
            assert_eq!(query_value(query, "id").as_deref(), value, "{query}");
        }
    }
}
