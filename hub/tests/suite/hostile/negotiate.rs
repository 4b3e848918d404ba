use super::*;
use crate::live::Answer;
use raw_ws::Origins;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

fn answer(status: u16, content_type: &str, body: &str) -> Answer {
    Answer {
        status,
        content_type: (!content_type.is_empty()).then(|| content_type.into()),
        body: body.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn row_142_row_158_methods_that_are_not_served() {
    let (server, _) = start();
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"] {
        let heard = server.request(method, "/hub/negotiate").await;
        assert_eq!(heard, answer(405, "text/plain", ""), "{method}");
    }
    for method in ["PUT", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"] {
        let heard = server.request(method, "/hub").await;
        assert_eq!(heard, answer(405, "text/plain", ""), "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_143_row_144_versions_that_are_none() {
    let (server, _) = start();
    let none = r#"{"error":"The client requested a non-integer protocol version."}"#;
    let too_low = r#"{"error":"The client requested version '-1', but the server does not support this version."}"#;
    for (version, error) in [
        ("abc", none),
        ("", none),
        ("1.0", none),
        ("1099511627776", none),
        ("1&negotiateVersion=1", none),
        ("%00", none),
        ("-1", too_low),
    ] {
        let target = format!("/hub/negotiate?negotiateVersion={version}");
        let heard = server.request("POST", &target).await;
        assert_eq!(heard, answer(200, "application/json", error), "{version}");
    }
    // Higher than ours is ours (N-07).
    let heard = server
        .request("POST", "/hub/negotiate?negotiateVersion=99")
        .await;
    assert!(
        heard.body.starts_with(r#"{"negotiateVersion":1,"#),
        "{heard:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn row_145_tokens_at_the_limit_one_past_it_and_when_they_have_died() {
    let (server, _) = start_with(HubOptions::new().max_unused_connections(100));
    let target = "/hub/negotiate?negotiateVersion=1";
    let (_, used) = server.negotiate().await;
    let _client = server.client_at(&format!("/hub?id={used}")).await;
    for _ in 0..100 {
        server.negotiate().await;
    }
    let heard = server.request("POST", target).await;
    let full = "Too many connections wait to be used.";
    assert_eq!(heard, answer(503, "text/plain", full));
    tokio::time::advance(Duration::from_secs(15)).await;
    for _ in 0..100 {
        server.negotiate().await;
    }
    assert_eq!(server.request("POST", target).await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn row_147_tokens_are_random_and_name_nothing() {
    let (server, _) = start_with(HubOptions::new().max_unused_connections(5_000));
    let mut seen = std::collections::HashSet::new();
    let mut bits = [0_u32; 256];
    for _ in 0..2_000 {
        let (id, token) = server.negotiate().await;
        assert_ne!(id, token);
        for name in [id, token] {
            // 22 characters of base64url are 128 bits and more.
            assert!(name.len() >= 22, "{name}");
            let url = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            assert!(name.chars().all(url), "{name}");
            for (at, byte) in name.bytes().take(21).enumerate() {
                bits[at * 8 % 256] += u32::from(byte & 1);
            }
            assert!(seen.insert(name), "one twice");
        }
    }
    for ones in bits.iter().filter(|ones| **ones > 0) {
        assert!((1_500..2_500).contains(ones), "{bits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_148_to_151_names_that_lead_nowhere() {
    let (server, _) = start();
    let (id, token) = server.negotiate().await;
    let unknown = answer(404, "text/plain", "No Connection with that ID");
    let bare = answer(404, "", "No Connection with that ID");
    let mut near = token.clone();
    let last = near.pop().unwrap();
    near.push(if last == 'A' { 'B' } else { 'A' });
    let long = "x".repeat(8 * 1024);
    for name in [
        id.as_str(),
        &near,
        "x",
        "%00",
        "%ff%fe",
        &long,
        &format!("{token}&id={token}"),
        &format!("{token}%20"),
    ] {
        let target = format!("/hub?id={name}");
        for method in ["GET", "POST", "DELETE"] {
            let heard = server.request(method, &target).await;
            assert_eq!(heard, unknown, "{method} {name}");
        }
        let heard = server.request_with("GET", &target, UPGRADE).await;
        assert_eq!(heard, bare, "{name}");
    }
    let required = answer(400, "text/plain", "Connection ID required");
    for target in ["/hub", "/hub?id=", "/hub?ID", "/hub?x=1"] {
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(server.request(method, target).await, required);
        }
    }
    // The right name still leads to it, written in another way too.
    let mut client = server.client_at(&format!("/hub?Id={token}")).await;
    assert_eq!(client.ask("Echo", "[1]").await, "1");
}

#[tokio::test(start_paused = true)]
async fn row_152_a_second_websocket_on_a_connection_that_lives() {
    let (server, _) = start();
    let (_, token) = server.negotiate().await;
    let target = format!("/hub?id={token}");
    let mut client = server.client_at(&target).await;
    let heard = server.request_with("GET", &target, UPGRADE).await;
    assert_eq!(heard.status, 409);
    assert_eq!(client.ask("Echo", "[1]").await, "1");
    client.leave().await;
    server.connections(0).await;
    let heard = server.request_with("GET", &target, UPGRADE).await;
    assert_eq!(heard.status, 404);
}

#[tokio::test(start_paused = true)]
async fn row_157_what_a_websocket_connection_does_not_take() {
    let (server, _) = start();
    let (_, token) = server.negotiate().await;
    let target = format!("/hub?id={token}");
    let mut client = server.client_at(&target).await;
    let post = "POST requests are not allowed for WebSocket connections.";
    let delete = "Cannot terminate this connection using the DELETE endpoint.";
    assert_eq!(
        server.request("POST", &target).await,
        answer(405, "text/plain", post)
    );
    assert_eq!(
        server.request("DELETE", &target).await,
        answer(400, "text/plain", delete)
    );
    assert_eq!(client.ask("Echo", "[1]").await, "1");
}

#[tokio::test(start_paused = true)]
async fn r_09_row_38_a_foreign_page_opens_no_websocket_and_takes_no_token() {
    let (server, _) = start_with(HubOptions::new().origins(Origins::list(["https://ok.example"])));
    let (_, token) = server.negotiate().await;
    let target = format!("/hub?id={token}");
    let foreign = format!("{UPGRADE}Origin: https://ok.example.evil\r\n");
    let heard = server.request_with("GET", &target, &foreign).await;
    let refused = "Pages of this origin may not connect here.";
    assert_eq!(heard, answer(403, "text/plain", refused));
    let mut client = server.client_at(&target).await;
    assert_eq!(client.ask("Echo", "[1]").await, "1");
}
