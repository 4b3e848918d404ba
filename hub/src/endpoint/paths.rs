//! How the path of a hub is spelled in requests.

use std::{convert::Infallible, sync::Arc};

use axum::{Router, extract::Request, response::Response};
use http::uri::{PathAndQuery, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use tower::{ServiceExt as _, service_fn};

/// What RFC 3986 has no place for in a path. Not `{` and `}`, which axum's patterns are made of.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'|');

/// A path as clients send it: what is beyond ASCII, and spaces, percent-encoded. The digits above
/// nine may be of either case; most clients write capitals. A path that is encoded stays as it is.
pub(super) fn spellings(path: &str) -> Vec<String> {
    let capitals = utf8_percent_encode(&with_lone_percents_encoded(path), ENCODED).to_string();
    let small = with_small_digits(&capitals);
    let mut spellings = vec![capitals];
    if small != spellings[0] {
        spellings.push(small);
    }
    spellings
}

fn with_lone_percents_encoded(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut encoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.as_bytes().first_chunk::<2>();
        let is_encoded = digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        encoded.push_str(if is_encoded { "%" } else { "%25" });
        encoded.push_str(piece);
    }
    encoded
}

fn with_small_digits(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut small = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        small.push('%');
        small.push_str(&digits.to_ascii_lowercase());
        small.push_str(rest);
    }
    small
}

/// Lets clients write the paths of hubs in any case, as ASP.NET Core does (R-02).
///
/// ```
/// use axum::Router;
/// use hub::{Hub, ignore_path_case};
/// let app = Router::new().merge(Hub::new(()).router("/chat"));
/// let app: Router = ignore_path_case(app, &["/chat"]); // "/Chat/Negotiate" is found too
/// ```
pub fn ignore_path_case(app: Router, paths: &[&str]) -> Router {
    let paths: Arc<[Known]> = paths
        .iter()
        .flat_map(|path| {
            let path = path.trim_end_matches('/');
            [
                path.to_owned(),
                format!("{path}/negotiate"),
                format!("{path}/refresh"),
            ]
        })
        .map(|path| Known {
            lowercase: decoded(&path).to_lowercase(),
            spelling: spellings(&path).swap_remove(0),
        })
        .collect();
    // Around the router, not in it: a layer of a router runs after the route is found.
    Router::new().fallback_service(service_fn(move |mut request: Request| {
        if let Some(known) = meant(&paths, request.uri().path()) {
            *request.uri_mut() = with_path(request.uri(), &known.spelling);
        }
        let app = app.clone();
        async move {
            Ok::<Response, Infallible>(
                app.oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    }))
}

/// A path that is found in any case.
struct Known {
    lowercase: String,
    /// As the router has it.
    spelling: String,
}

/// The path that one in a request is meant for, if it is spelled otherwise.
fn meant<'a>(paths: &'a [Known], path: &str) -> Option<&'a Known> {
    if paths.iter().any(|known| known.spelling == path) {
        return None;
    }
    let bare = path.strip_suffix('/').unwrap_or(path);
    let lowercase = decoded(bare).to_lowercase();
    // A slash that is encoded is none, as in ASP.NET Core.
    let is_as_deep = lowercase.matches('/').count() == bare.matches('/').count();
    let mut paths = paths.iter().filter(|_| is_as_deep);
    paths.find(|known| known.lowercase == lowercase)
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn with_path(uri: &Uri, path: &str) -> Uri {
    let path_and_query: Option<PathAndQuery> = match uri.query() {
        Some(query) => format!("{path}?{query}").parse().ok(),
        None => path.parse().ok(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = path_and_query;
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}
