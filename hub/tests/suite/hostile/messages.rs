use super::*;

fn failed(id: &str, error: &str) -> String {
    format!(r#"{{"type":3,"invocationId":"{id}","error":"{error}"}}"#)
}

fn result(id: &str, value: &str) -> String {
    format!(r#"{{"type":3,"invocationId":"{id}","result":{value}}}"#)
}

/// `CLOSED` in MessagePack: 7, the text, true.
const BINARY_CLOSED: &str =
    "259307d920436f6e6e656374696f6e20636c6f736564207769746820616e206572726f722ec3";

/// The answer to a Close: 7, nil, false.
const BYE: &str = "049307c0c2";

const UNBOUND: &str = "Failed to invoke 'Echo' due to an error on the server.";

/// An `Echo` of some JSON.
fn echo(argument: &str) -> String {
    format!("{}{RS}", live::call("1", "Echo", &format!("[{argument}]")))
}

fn text(argument: &str) -> String {
    format!("{}{RS}", live::call("1", "Text", &format!("[{argument}]")))
}

#[tokio::test(start_paused = true)]
async fn row_104_messages_at_the_limit_and_one_byte_past_it() {
    let sized = |size: usize| {
        let bare = text("\"\"").len();
        text(&format!("\"{}\"", "x".repeat(size - bare)))
    };
    let fits = sized(32 * 1024);
    assert_eq!(fits.len(), 32 * 1024);
    let value = format!("\"{}\"", "x".repeat(fits.len() - text("\"\"").len()));
    let answer = result("1", &value);
    let endless = "x".repeat(1024 * 1024);
    table(
        104,
        &[
            (&fits, &[&answer]),
            (&sized(32 * 1024 + 1), &[CLOSED, "1000"]),
            (&endless, &[CLOSED, "1000"]),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_105_json_nested_deeply() {
    let bomb = "[".repeat(10_000);
    let closed_bomb = format!("{bomb}{}", "]".repeat(10_000));
    let closes: &[&str] = &[CLOSED, "1000"];
    table(
        105,
        &[
            (&echo(&bomb), closes),
            (&echo(&closed_bomb), closes),
            (&format!("{{\"type\":6,\"x\":{closed_bomb}}}{RS}"), closes),
            (
                &format!("{{\"type\":6,\"headers\":{closed_bomb}}}{RS}"),
                closes,
            ),
            (&format!("{}{RS}", "{\"x\":".repeat(5_000)), closes),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_106_row_107_messagepack_nested_deeply_and_counts_of_4_billion() {
    let invocation = |arguments: &[u8]| {
        let mut record = vec![0x96, 0x01, 0x80, 0xa1, b'1', 0xa4];
        record.extend_from_slice(b"Echo");
        record.extend_from_slice(arguments);
        record.push(0x90);
        record
    };
    let bomb = [0x91; 32_000];
    let closed: &[&str] = &[BINARY_CLOSED, "1000"];
    // M-07: arguments are looked at as they are bound, and fail the call alone.
    let unbound: &[&str] = &[
        // 3, {}, "1", 1, "Failed to invoke 'Echo' due to an error on the server."
        "3e950380a13101d9364661696c656420746f20696e766f6b6520274563686f272064756520746f20616e206572726f72206f6e20746865207365727665722e",
        BYE,
        "1000",
    ];
    let mut cases = vec![
        (invocation(&bomb), unbound),
        (bomb.to_vec(), closed),
        // A depth bomb in the headers, which are skipped.
        ([&[0x92, 0x06][..], &bomb].concat(), &[BYE, "1000"][..]),
        (
            [&[0x95, 0x01, 0x81, 0xa1, b'x'][..], &bomb].concat(),
            closed,
        ),
    ];
    for huge in [0xdd, 0xdf, 0xdb, 0xc6, 0xc9] {
        let huge = [huge, 0xff, 0xff, 0xff, 0xff, 0x01];
        cases.push((invocation(&huge), unbound));
        cases.push((huge.to_vec(), closed));
        cases.push(([&[0x95, 0x01][..], &huge].concat(), closed));
    }
    let cases: Vec<(&[u8], &[&str])> = cases
        .iter()
        .map(|(says, expected)| (says.as_slice(), *expected))
        .collect();
    binary_table(106, &cases).await;
}

#[tokio::test(start_paused = true)]
async fn row_110_row_111_members_twice_and_in_any_order() {
    let reversed = r#"{"arguments":[7],"x":[{}],"target":"Echo","invocationId":"1","type":1}"#;
    let answer = result("1", "7");
    table(
        110,
        &[
            // The real server: the last counts.
            (
                &format!("{{\"type\":1,\"type\":7}}{RS}"),
                &[r#"{"type":7}"#, "1000"],
            ),
            (&format!("{reversed}{RS}"), &[&answer]),
            // The real server looks at nothing behind the object.
            (&format!("{{\"type\":6}} // ping{RS}"), &[]),
            (&format!("{{/**/\"type\":6}}{RS}"), &[CLOSED, "1000"]),
            (&format!("{{\"type\":6,}}{RS}"), &[CLOSED, "1000"]),
            (&format!("{{'type':6}}{RS}"), &[CLOSED, "1000"]),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_112_values_that_are_none() {
    let unbound = failed("1", UNBOUND);
    let unbound_text = unbound.replace("Echo", "Text");
    table(
        112,
        &[
            (&echo("7.0"), &[&unbound]),
            (&echo("1e400"), &[&unbound]),
            (&echo("18446744073709551616"), &[&unbound]),
            (&echo("\"7\""), &[&unbound]),
            (&echo("null"), &[&unbound]),
            (&echo("NaN"), &[CLOSED, "1000"]),
            (&echo("-"), &[CLOSED, "1000"]),
            (&text("\"\\ud800\""), &[&unbound_text]),
            (&text("\"\\u0000\""), &[&result("1", "\"\\u0000\"")]),
            (&format!("\u{feff}{{\"type\":6}}{RS}"), &[CLOSED, "1000"]),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_113_text_that_is_none() {
    let (server, _) = start();
    let mut witness = Witness::of(&server).await;
    let mut client = server.client().await;
    client.bytes(b"{\"type\":6,\"x\":\"\xff\xfe\"}\x1e").await;
    // It is a ping, and the client's last.
    let heard = witness.looks_on(heard(&mut client)).await;
    assert_eq!(heard, [CLOSED, "1000"]);
    drop(client);
    witness.is_unharmed(&server).await;
}

#[tokio::test(start_paused = true)]
async fn row_114_a_mebibyte_of_separators() {
    let separators = RS.to_string().repeat(1024 * 1024);
    table(114, &[(&separators, &[CLOSED, "1000"])]).await;
}

#[tokio::test(start_paused = true)]
async fn row_115_lengths() {
    let (server, _) = start();
    let mut witness = Witness::of(&server).await;
    let closed = BINARY_CLOSED;
    for (bytes, expected) in [
        (&[0xff, 0xff, 0xff, 0xff, 0x0f][..], [closed, "1000"]),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0x01], [closed, "1000"]),
        (&[0xff, 0xff, 0xff, 0xff, 0x07], [closed, "1000"]),
        // Longer than it need be, as the real server takes it: a Close.
        (&[0x83, 0x80, 0x00, 0x92, 0x07, 0xc0], [BYE, "1000"]),
        // Nothing at all.
        (&[0x00], [closed, "1000"]),
    ] {
        let mut client = server.binary_client().await;
        client.bytes(bytes).await;
        assert_eq!(heard(&mut client).await, expected, "{bytes:02x?}");
        drop(client);
        witness.is_unharmed(&server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn row_116_types_that_do_not_exist() {
    table(
        116,
        &[
            (&format!("{{\"type\":99}}{RS}"), &[]),
            (&format!("{{\"type\":-1}}{RS}"), &[]), // the real server: as any other
            (&format!("{{\"type\":\"1\"}}{RS}"), &[CLOSED, "1000"]),
            (&format!("{{}}{RS}"), &[CLOSED, "1000"]),
            (&format!("{{\"type\":4294967297}}{RS}"), &[CLOSED, "1000"]),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_117_to_120_calls_that_do_not_fit() {
    let nobody = "Failed to invoke 'Nobody' due to an error on the server. HubException: Method does not exist.";
    let not_streaming = "The client attempted to invoke the streaming 'Three' method with a non-streaming invocation.";
    let streaming = "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation.";
    let calls = |id: &str, target: &str, arguments: &str| {
        format!("{}{RS}", live::call(id, target, arguments))
    };
    let stream = |target: &str, arguments: &str| {
        calls("1", target, arguments).replace("\"type\":1", "\"type\":4")
    };
    table(
        117,
        &[
            // The real server's words, not the row's (IN-04).
            (&calls("1", "Nobody", "[]"), &[&failed("1", nobody)]),
            (&calls("", "Nobody", "[]"), &[]),
            (&calls("1", "eCHO", "[5]"), &[&result("1", "5")]),
            (&calls("1", &"lONG".repeat(20), "[]"), &[&result("1", "80")]),
            (&calls("1", "echo", "[]"), &[&failed("1", UNBOUND)]),
            (&calls("1", "Echo", "[1,2]"), &[&failed("1", UNBOUND)]),
            (&calls("", "Echo", "[\"x\"]"), &[]),
            (&calls("1", "three", "[]"), &[&failed("1", not_streaming)]),
            (&stream("Echo", "[1]"), &[&failed("1", streaming)]),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_122_invocation_ids() {
    let (fits, long) = ("x".repeat(128), "x".repeat(129));
    let answer = result(&fits, "5");
    let about = |kind: u8, id: &str, rest: &str| {
        format!("{{\"type\":{kind},\"invocationId\":\"{id}\"{rest}}}{RS}")
    };
    let uploads = |id: &str| {
        let rest = format!(r#","target":"Sum","arguments":[],"streamIds":["{id}"]"#);
        about(1, "1", &rest) + &about(3, id, "")
    };
    table(
        122,
        &[
            (
                &format!(
                    "{{\"type\":1,\"invocationId\":\"\",\"target\":\"Echo\",\"arguments\":[5]}}{RS}"
                ),
                &[],
            ),
            (
                &format!("{}{RS}", live::call(&fits, "Echo", "[5]")),
                &[&answer],
            ),
            // The real server sets ids no limit but that of the message.
            (
                &format!("{}{RS}", live::call(&long, "Echo", "[5]")),
                &[CLOSED, "1000"],
            ),
            (&uploads(&fits), &[&result("1", "0")]),
            (&uploads(&long), &[CLOSED, "1000"]),
            (&about(2, &fits, ",\"item\":1"), &[]),
            (&about(2, &long, ",\"item\":1"), &[CLOSED, "1000"]),
            (&about(3, &fits, ""), &[]),
            (&about(3, &long, ""), &[CLOSED, "1000"]),
            (
                &about(4, &long, ",\"target\":\"Three\",\"arguments\":[]"),
                &[CLOSED, "1000"],
            ),
            (&about(5, &fits, ""), &[]),
            (&about(5, &long, ""), &[CLOSED, "1000"]),
            (
                &format!(
                    "{}{RS}",
                    live::call(&"x".repeat(1024 * 1024 - 100), "Echo", "[5]")
                ),
                &[CLOSED, "1000"],
            ),
            (
                &format!(
                    "{{\"type\":1,\"invocationId\":5,\"target\":\"Echo\",\"arguments\":[5]}}{RS}"
                ),
                &[CLOSED, "1000"],
            ),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_122_targets() {
    let (fits, long) = ("x".repeat(256), "x".repeat(257));
    let unknown = format!(
        "Failed to invoke '{fits}' due to an error on the server. HubException: Method does not exist."
    );
    let call = |target: &str| format!("{}{RS}", live::call("1", target, "[]"));
    let stream = |target: &str| call(target).replace("\"type\":1", "\"type\":4");
    table(
        122,
        &[
            (&call(&fits), &[&failed("1", &unknown)]),
            (&stream(&fits), &[&failed("1", &unknown)]),
            // Nor does it set targets one.
            (&call(&long), &[CLOSED, "1000"]),
            (&stream(&long), &[CLOSED, "1000"]),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_122_why_is_said_with_details() {
    let options = HubOptions::new().enable_detailed_errors(true);
    let (server, _) = start_with(options.maximum_id_length(3).maximum_target_length(4));
    for (id, target, what) in [("1234", "Echo", "id"), ("123", "Echo2", "target")] {
        let mut client = server.client().await;
        let says = format!("{}{RS}", live::call(id, target, "[5]"));
        let limit = if what == "id" { 3 } else { 4 };
        let why =
            format!("InvalidDataException: The {what} of a message is longer than {limit} bytes.");
        let closed = CLOSED.replace("an error.", &format!("an error. {why}"));
        assert_eq!(hears(&mut client, &says).await, [closed.as_str(), "1000"]);
    }
}

#[tokio::test(start_paused = true)]
async fn row_127_row_128_row_136_messages_about_nothing() {
    let both = r#"{"type":3,"invocationId":"9","result":1,"error":"x"}"#;
    table(
        127,
        &[
            (
                &format!("{{\"type\":2,\"invocationId\":\"9\",\"item\":1}}{RS}"),
                &[],
            ),
            (&format!("{{\"type\":3,\"invocationId\":\"9\"}}{RS}"), &[]),
            (&format!("{{\"type\":5,\"invocationId\":\"9\"}}{RS}"), &[]),
            (&format!("{both}{RS}"), &[CLOSED, "1000"]),
            // The real server ignores both (SR-17).
            (&format!("{{\"type\":8,\"sequenceId\":1}}{RS}"), &[]),
            (&format!("{{\"type\":9,\"sequenceId\":-1}}{RS}"), &[]),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_132_headers() {
    let many: Vec<_> = (0..33).map(|n| format!("\"h{n}\":\"x\"")).collect();
    let many = many.join(",");
    let ping = |headers: &str| {
        format!(
            "{{\"type\":1,\"headers\":{{{headers}}},\"target\":\"Echo\",\"arguments\":[1],\"invocationId\":\"1\"}}{RS}"
        )
    };
    let answer = result("1", "1");
    table(
        132,
        &[
            // The real server counts no headers, and of two takes the last.
            (&ping(&many), &[&answer]),
            (&ping("\"a\":\"1\",\"a\":\"2\""), &[&answer]),
            (&ping("\"a\":1"), &[CLOSED, "1000"]),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_135_secrets_stay_here_unless_details_are_shown() {
    let generic = "An unexpected error occurred invoking 'Secret' on the server.";
    let says = format!("{}{RS}", live::call("1", "Secret", "[]"));
    table(135, &[(&says, &[&failed("1", generic)])]).await;
    let (server, _) = start_with(HubOptions::new().enable_detailed_errors(true));
    let mut client = server.client().await;
    let detailed = format!("{generic} Error: the password is 1234");
    assert_eq!(hears(&mut client, &says).await, [failed("1", &detailed)]);
}

#[tokio::test(start_paused = true)]
async fn row_138_group_names_are_what_they_are() {
    let (server, _) = start();
    let names = [
        "a:b",
        "*",
        "?",
        "[x]",
        "a\r\nb",
        "\0",
        "connection:1",
        "",
        "A",
        "a",
        "😀",
    ];
    let mut clients = Vec::new();
    for name in names {
        let mut client = server.client_at("/hub?x=1").await;
        let argument = serde_json::json!([name]).to_string();
        assert_eq!(client.ask("Join", &argument).await, "null");
        clients.push(client);
    }
    for name in names {
        server.handle.group(name).send("To", (name,)).unwrap();
        server.handle.user(name).send("User", (name,)).unwrap();
        server.handle.client(name).send("Client", (name,)).unwrap();
    }
    for (client, name) in clients.iter_mut().zip(names) {
        let sent = client.next().await;
        let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
        let expected = serde_json::json!({"type": 1, "target": "To", "arguments": [name]});
        assert_eq!(sent, expected);
        assert_eq!(client.ask("Echo", "[1]").await, "1");
    }
}

#[tokio::test(start_paused = true)]
async fn row_140_close() {
    table(
        140,
        &[(&format!("{{\"type\":7}}{RS}"), &[r#"{"type":7}"#, "1000"])],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_141_pings_alone_keep_a_client_for_10_minutes() {
    let (server, _) = start();
    let mut client = server.client().await;
    for _ in 0..60 {
        client.send(r#"{"type":6}"#).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(server.handle.connections(), 1, "it was let go");
    }
    assert_eq!(client.ask("Echo", "[1]").await, "1");
    let begun = tokio::time::Instant::now();
    client.expect_end(CLOSED, 1000).await;
    assert_eq!(begun.elapsed().as_secs(), 30);
}
