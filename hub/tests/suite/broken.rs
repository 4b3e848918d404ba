//! Messages that are broken in one part, in MessagePack: what of them is read, and what becomes of
//! the connection. As the real server answers.

use futures_util::StreamExt as _;
use hub::{Context, Hub, HubOptions, UploadStream, protocol::Names};

use crate::live::{Client, Framed, Heard, Server};

fn server() -> Server {
    let options = HubOptions::new()
        .enable_detailed_errors(true)
        .names(Names::DotNet);
    let hub = Hub::with_options((), options)
        .method("Add", async |_: Context, a: i32, b: i32| Ok(a + b))
        .method("Text", async |_: Context, text: Option<String>| Ok(text))
        .method("Count", async |_: Context, list: Vec<i32>| Ok(list.len()))
        .method("Sum", async |_: Context, mut numbers: UploadStream<i32>| {
            let mut sum = 0;
            while let Some(number) = numbers.next().await {
                sum += number?;
            }
            Ok(sum)
        });
    Server::start(hub)
}

/// Bytes written as hex digits and, in quotes, as text with its length.
fn record(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split(' ') {
        if let Some(word) = word.strip_prefix('"') {
            let word = word.trim_end_matches('"');
            bytes.push(0xA0 | word.len() as u8);
            bytes.extend_from_slice(word.as_bytes());
        } else {
            let digits = word.as_bytes().chunks(2);
            bytes.extend(digits.map(|two| {
                let two = std::str::from_utf8(two).unwrap();
                u8::from_str_radix(two, 16).unwrap()
            }));
        }
    }
    bytes
}

async fn say(client: &mut Client, text: &str) {
    client.bytes(&Framed::new(&record(text)).0).await;
}

/// What comes as text, its framing left in.
async fn hear(client: &mut Client) -> String {
    match client.heard().await {
        Heard::Binary(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn up_10_the_result_of_nobodys_completion_is_skipped_if_it_has_an_end() {
    let end_of_stream = "EndOfStreamException: Attempted to read past the end of the stream.";
    let never_used = "MessagePackSerializationException: Unexpected msgpack code 193 ((never used)) encountered.";
    for id in ["\"nobody\"", "\"u\""] {
        for (result, fault) in [
            ("05", None),
            ("", Some(end_of_stream)),
            ("92 01", Some(end_of_stream)),
            ("c1", Some(never_used)),
        ] {
            let server = server();
            let mut client = server.binary_client().await;
            say(&mut client, "96 01 80 \"1\" \"Sum\" 90 91 \"u\"").await;
            let completion = format!("95 03 80 {id} 03 {result}");
            say(&mut client, completion.trim_end()).await;
            match fault {
                Some(fault) => {
                    let heard = hear(&mut client).await;
                    assert!(heard.contains(fault), "{completion}: {heard}");
                    client.expect_close(1000).await;
                }
                None => {
                    say(&mut client, "96 01 80 \"2\" \"Add\" 92 01 02 90").await;
                    let heard = hear(&mut client).await;
                    assert!(
                        !heard.contains("Connection closed"),
                        "{completion}: {heard}"
                    );
                }
            }
        }
    }
}

/// M-07: behind arguments that cannot be bound nothing is read.
#[tokio::test(start_paused = true)]
async fn m_07_broken_stream_ids_harm_only_a_call_that_could_be_begun() {
    let server = server();
    for ids in ["c0", "91", "91 c1", "91 05"] {
        let mut client = server.binary_client().await;
        for (call, refusal) in [
            ("\"Add\" 92 \"x\" 01", "Error binding arguments."),
            (
                "\"Add\" 91 01",
                "Invocation provides 1 argument(s) but target expects 2.",
            ),
            ("\"Nope\" 90", "HubException: Method does not exist."),
        ] {
            say(&mut client, &format!("96 01 80 \"1\" {call} {ids}")).await;
            let heard = hear(&mut client).await;
            assert!(heard.contains(refusal), "{call} {ids}: {heard}");
        }
        say(
            &mut client,
            &format!("96 01 80 \"1\" \"Add\" 92 01 02 {ids}"),
        )
        .await;
        let heard = hear(&mut client).await;
        assert!(
            heard.contains("Connection closed with an error."),
            "{ids}: {heard}"
        );
        client.expect_close(1000).await;
    }
}

#[tokio::test(start_paused = true)]
async fn in_05_a_wrong_count_is_told_before_a_wrong_type() {
    let server = server();
    let mut client = server.binary_client().await;
    say(&mut client, "96 01 80 \"1\" \"Add\" 93 \"x\" 01 02 90").await;
    let heard = hear(&mut client).await;
    let text = "Invocation provides 3 argument(s) but target expects 2.";
    assert!(heard.contains(text), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn m_08_bytes_are_refused_where_text_or_a_list_is_wanted() {
    let server = server();
    let mut client = server.binary_client().await;
    for call in [
        "\"Text\" 91 c4 02 ff fe",
        "\"Text\" 91 c4 01 61",
        "\"Count\" 91 c4 00",
        "\"Count\" 91 c4 03 01 02 ff",
    ] {
        say(&mut client, &format!("96 01 80 \"1\" {call} 90")).await;
        let heard = hear(&mut client).await;
        assert!(
            heard.contains("Error binding arguments."),
            "{call}: {heard}"
        );
    }
    say(&mut client, "96 01 80 \"1\" \"Text\" 91 a2 ff fe 90").await;
    assert!(hear(&mut client).await.contains("\u{fffd}\u{fffd}"));
}
