//! What one client can make the server hold at most. Client, sockets and server are in one thread,
//! so that everything is counted: the bounds are for all of it together.

use super::*;

const KIB: u64 = 1024;

/// The most that was held at once while this went on, in bytes, after a first call was answered.
fn held<Fut: Future<Output = Client>>(
    options: HubOptions,
    attack: impl FnOnce(Server, Client) -> Fut,
) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (server, client) = runtime.block_on(async {
        let (server, _) = start_with(options);
        let mut client = server.client().await;
        client.ask("Echo", "[1]").await;
        (server, client)
    });
    let attack = attack(server, client);
    let mut client = None;
    let counted = allocation_counter::measure(|| client = Some(runtime.block_on(attack)));
    drop(client);
    counted.bytes_max
}

#[test]
fn row_108_a_message_of_empty_arrays() {
    let peak = held(HubOptions::new(), |_, mut client| async move {
        let arrays = vec!["[]"; 10_800].join(",");
        assert_eq!(client.ask("Any", &format!("[[{arrays}]]")).await, "10800");
        client
    });
    assert!(peak < 2 * 1024 * KIB, "{peak}");
}

#[test]
fn row_107_counts_that_are_only_announced() {
    let peak = held(HubOptions::new(), |server, client| async move {
        for huge in [0xdd_u8, 0xdf, 0xdb, 0xc6, 0xc9] {
            let mut client = server.binary_client().await;
            let record = [0x95, 0x01, 0x80, 0xc0, huge, 0xff, 0xff, 0xff, 0xff];
            client.bytes(&live::Framed::new(&record).0).await;
            // So long a record is refused before it has come.
            let _ = heard(&mut client).await;
        }
        client
    });
    assert!(peak < 512 * KIB, "{peak}");
}

#[test]
fn row_123_calls_that_wait_one_by_one() {
    let peak = held(HubOptions::new(), |_, mut client| async move {
        client.call("1", "Never", "[]").await;
        let says = format!("{}{RS}", live::call("1", "Never", "[]"));
        // Each comes in a read of its own.
        for _ in 0..400 {
            client.text(&says).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        client
    });
    assert!(peak < 512 * KIB, "{peak}");
}

#[test]
fn row_125_items_that_nobody_reads_one_by_one() {
    let peak = held(HubOptions::new(), |_, mut client| async move {
        client
            .send(r#"{"type":1,"target":"Ignore","arguments":[],"streamIds":["u"]}"#)
            .await;
        for _ in 0..900 {
            client
                .send(r#"{"type":2,"invocationId":"u","item":1}"#)
                .await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        client
    });
    assert!(peak < 512 * KIB, "{peak}");
}

#[test]
fn row_124_streams_whose_calls_came_with_much_else() {
    let peak = held(HubOptions::new(), |_, mut client| async move {
        let padding = format!("{{\"type\":6,\"x\":\"{}\"}}", "x".repeat(30_000));
        for id in 0..100 {
            let call = format!(
                r#"{{"type":1,"invocationId":"{id}","target":"Ignore","arguments":[],"streamIds":["u{id}"]}}"#
            );
            client.send_all(&[padding.clone(), call]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        client
    });
    assert!(peak < 1024 * KIB, "{peak}");
}

#[test]
fn c_16_answers_that_nobody_reads() {
    let peak = held(HubOptions::new(), |_, mut client| async move {
        let text = format!("[\"{}\"]", "x".repeat(1_000));
        let calls: Vec<_> = (0..900)
            .map(|id| live::call(&id.to_string(), "Text", &text))
            .collect();
        client.send_all(&calls).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        client
    });
    // The message itself several times: as written, sent and received.
    assert!(peak < 6 * 1024 * KIB, "{peak}");
}

#[test]
fn row_100_row_104_one_record_without_an_end() {
    let peak = held(HubOptions::new(), |_, mut client| async move {
        for _ in 0..1_000 {
            if client.try_text(&"x".repeat(1_000)).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        client
    });
    assert!(peak < 256 * KIB, "{peak}");
}

#[test]
fn row_145_negotiations_that_are_never_used() {
    let options = HubOptions::new().max_unused_connections(10_000);
    let peak = held(options, |server, client| async move {
        for _ in 0..11_000 {
            server
                .request("POST", "/hub/negotiate?negotiateVersion=1")
                .await;
        }
        client
    });
    assert!(peak < 10_000 * KIB, "{peak}");
}
