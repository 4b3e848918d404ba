use super::*;

const GENERIC: &str = "An unexpected error occurred during connection handshake.";

async fn first_records(row: u32, cases: &[(String, &str)]) {
    let (server, _) = start();
    let mut witness = Witness::of(&server).await;
    for (says, error) in cases {
        let mut client = server.open().await;
        client.text(says).await;
        let heard = heard(&mut client).await;
        let shown: String = says.chars().take(100).collect();
        let expected = [format!(r#"{{"error":"{error}"}}"#), "1000".into()];
        assert_eq!(heard, expected, "row {row}: {shown}");
        drop(client);
        witness.is_unharmed(&server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn row_95_no_handshake_in_15_seconds() {
    let (server, _) = start();
    let mut witness = Witness::of(&server).await;
    let begun = tokio::time::Instant::now();
    let mut client = server.open().await;
    client.text(r#"{"protocol":"json","#).await;
    let expected = [r#"{"error":"Handshake was canceled."}"#, "1000"];
    assert_eq!(heard(&mut client).await, expected);
    assert_eq!(begun.elapsed().as_secs(), 15);
    drop(client);
    assert_eq!(witness.0.ask("Echo", "[1]").await, "1");
    server.connections(1).await;
}

#[tokio::test(start_paused = true)]
async fn row_96_no_handshake_but_something_else() {
    let records = [
        "",
        "GET / HTTP/1.1",
        "[]",
        "7",
        "{}",
        "{",
        r#"{"protocol":"json"}"#,
        r#"{"version":1}"#,
        r#"{"protocol":null,"version":1}"#,
        r#"{"protocol":"json","version":1e0}"#,
        r#"{"protocol":"json","version":4294967297}"#,
        r#"{"Protocol":"json","Version":1}"#,
        r#"{"type":1,"target":"Echo","arguments":[1]}"#,
        "\u{feff}{\"protocol\":\"json\",\"version\":1}",
    ];
    first_records(
        96,
        &records.map(|record| (format!("{record}{RS}"), GENERIC)),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_97_a_protocol_that_nobody_speaks() {
    let record = |name: &str| format!("{{\"protocol\":\"{name}\",\"version\":1}}{RS}");
    let long = format!("The protocol '{}' is not supported.", "x".repeat(64));
    first_records(
        97,
        &[
            (record("xml"), "The protocol 'xml' is not supported."),
            (record(""), "The protocol '' is not supported."),
            (record("json "), "The protocol 'json ' is not supported."),
            (record(&"x".repeat(30_000)), &long),
            (
                record("\\\\\\n"),
                "The protocol '\\\\\\n' is not supported.",
            ),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_98_a_version_that_does_not_exist() {
    first_records(
        98,
        &[
            (
                format!("{{\"protocol\":\"json\",\"version\":3}}{RS}"),
                "The server does not support version 3 of the 'json' protocol.",
            ),
            (
                format!("{{\"protocol\":\"messagepack\",\"version\":2147483647}}{RS}"),
                "The server does not support version 2147483647 of the 'messagepack' protocol.",
            ),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_100_a_handshake_without_an_end() {
    let cancelled = "Handshake was canceled.";
    let long = "x".repeat(1024 * 1024);
    let padded = format!(
        "{{\"protocol\":\"json\",\"version\":1}}{}{RS}",
        " ".repeat(40_000)
    );
    first_records(100, &[(long, cancelled), (padded, cancelled)]).await;
}

#[tokio::test(start_paused = true)]
async fn row_101_handshakes_in_pieces_and_with_more_behind() {
    let (server, _) = start();
    let whole = format!(
        "{{\"protocol\":\"json\",\"version\":1}}{RS}{}{RS}",
        live::call("last", "Echo", "[7]")
    );
    for size in [1, 2, 7, 31, 32, 33, whole.len()] {
        let mut client = server.open().await;
        for piece in whole.as_bytes().chunks(size) {
            client.text(std::str::from_utf8(piece).unwrap()).await;
        }
        assert_eq!(heard(&mut client).await, ["{}"], "by {size}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_102_a_second_handshake() {
    let again = format!("{{\"protocol\":\"json\",\"version\":1}}{RS}");
    table(102, &[(&again, &[CLOSED, "1000"])]).await;
}

#[tokio::test(start_paused = true)]
async fn row_103_depth_bombs_and_members_twice() {
    let bomb = |open: &str| {
        let bomb = open.repeat(5_000);
        format!("{{\"protocol\":\"json\",\"version\":1,\"x\":{bomb}{RS}")
    };
    first_records(103, &[(bomb("["), GENERIC), (bomb("{\"x\":"), GENERIC)]).await;
    // Of members that stand twice the last counts, as in .NET (H-04).
    let (server, _) = start();
    let mut client = server.open().await;
    let twice = "\"protocol\":\"xml\",".repeat(1_000);
    client
        .text(&format!(
            "{{{twice}\"protocol\":\"json\",\"version\":1}}{RS}"
        ))
        .await;
    client.expect(&["{}"]).await;
}
