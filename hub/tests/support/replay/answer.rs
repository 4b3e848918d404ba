//! The head and the body of an HTTP answer beside what was recorded.

use std::collections::BTreeSet;

use super::wire::Head;
use crate::transcript::{Answer, Names};

/// Headers that must be the same set with the same values. Others are not compared.
const COMPARED: [&str; 16] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "allow",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "expires",
    "location",
    "pragma",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
    "vary",
    "www-authenticate",
];

/// `body` is `None` where the answer goes on as something else.
pub(crate) fn compare(
    names: &mut Names,
    want: &Answer,
    head: &Head,
    body: Option<&[u8]>,
) -> Result<(), String> {
    let mut problems = Vec::new();
    if let Some(status) = want
        .status
        .as_ref()
        .filter(|status| **status != head.status)
    {
        problems.push(format!("status: want {status}, got {}", head.status));
    }
    let body = body.unwrap_or_default();
    match &want.body {
        Some(wanted) if !names.matches(wanted, body) => {
            let got = names.shown(body, wanted.is_binary());
            problems.push(format!(
                "body: want {}\n            got  {got}",
                wanted.source()
            ));
        }
        None if !body.is_empty() => {
            problems.push(format!("body: want none, got {}", names.shown(body, false)));
        }
        _ => {}
    }
    let got: Vec<_> = head
        .headers
        .iter()
        .filter(|(name, _)| COMPARED.contains(&name.as_str()))
        .collect();
    let all: BTreeSet<_> = got
        .iter()
        .map(|(name, _)| name)
        .chain(want.headers.iter().map(|(name, _)| name))
        .collect();
    for name in all {
        let wanted = want
            .headers
            .iter()
            .rfind(|(n, _)| n == name)
            .map(|(_, value)| value);
        let came = got.iter().rfind(|(n, _)| n == name).map(|(_, value)| value);
        let same = match (wanted, came) {
            (Some(wanted), Some(came)) => names.matches_text(wanted, came),
            // Where that server wrote chunks, a length is as good.
            (None, _) => name == "content-length",
            (Some(_), None) => false,
        };
        if !same {
            problems.push(format!("header {name}: want {wanted:?}, got {came:?}"));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n      "))
    }
}
