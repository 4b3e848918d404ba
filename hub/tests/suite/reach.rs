//! Reaching clients: groups, users, typed clients, and handles that ask.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::live::{self, Server};
use hub::{Context, Hub};

type Shared = Arc<Mutex<Vec<String>>>;
type Cx = Context<Shared>;

async fn echo(_: Cx, value: i64) -> hub::Result<i64> {
    Ok(value)
}

#[tokio::test(start_paused = true)]
async fn groups_and_users_know_who_is_where() {
    let shared = Shared::default();
    let hub = Hub::new(shared.clone())
        .method("Join", async |cx: Cx, group: String| {
            cx.groups().join(&group)
        })
        .method("Leave", async |cx: Cx, group: String| {
            cx.groups().leave(&group);
            Ok(())
        })
        .method("Mine", async |cx: Cx| Ok(cx.groups().mine()))
        .method("Id", async |cx: Cx| Ok(cx.connection_id().to_string()))
        .on_disconnected(async |cx: Cx, _| {
            let left = format!("left {:?}", cx.groups().mine());
            cx.state().lock().unwrap().push(left);
            Ok(())
        })
        .user_identifier(|parts| parts.uri.query()?.strip_prefix("user=").map(str::to_owned));
    let server = Server::start(hub);
    let groups = server.handle.groups();
    let mut ada = server.client_at("/hub?user=ada").await;
    let mut ada2 = server.client_at("/hub?user=ada").await;
    let mut bob = server.client_at("/hub?user=bob").await;
    for client in [&mut ada, &mut bob] {
        client.ask("Join", "[\"b\"]").await;
        client.ask("Join", "[\"a\"]").await;
        client.ask("Join", "[\"a\"]").await;
    }
    let id = ada.ask("Id", "[]").await.replace('"', "");
    assert_eq!(ada.ask("Mine", "[]").await, r#"["b","a"]"#);
    assert_eq!(groups.of(&id), ["b", "a"]);
    assert_eq!(groups.members("a").len(), 2);
    assert_eq!(groups.connections_of_user("ada").len(), 2);
    assert_eq!(groups.everybody().len(), 3);
    assert_eq!(groups.members("A").len(), 0, "API-05");
    assert_eq!(groups.of("nobody"), [""; 0]);
    groups.add("nobody", "a").unwrap();
    groups.remove(&id, "b").unwrap();
    assert_eq!(ada.ask("Mine", "[]").await, r#"["a"]"#);
    groups.add(&id, "c").unwrap();

    server.handle.group("a").send("ToA", (1,)).unwrap();
    server
        .handle
        .groups_of(["a", "c"])
        .send("ToGroups", ())
        .unwrap();
    server.handle.user("ada").send("ToAda", ()).unwrap();
    server
        .handle
        .all_except([id.as_str()])
        .send("ToOthers", ())
        .unwrap();
    server
        .handle
        .clients_of([id.as_str(), id.as_str(), "x"])
        .send("ToOne", ())
        .unwrap();
    let sent = |target: &str, arguments: &str| {
        format!(r#"{{"type":1,"target":"{target}","arguments":[{arguments}]}}"#)
    };
    ada.expect(&[
        &sent("ToA", "1"),
        &sent("ToGroups", ""),
        &sent("ToGroups", ""),
        &sent("ToAda", ""),
        &sent("ToOne", ""),
    ])
    .await;
    bob.expect(&[
        &sent("ToA", "1"),
        &sent("ToGroups", ""),
        &sent("ToOthers", ""),
    ])
    .await;
    ada2.expect(&[&sent("ToAda", ""), &sent("ToOthers", "")])
        .await;

    bob.ask("Leave", "[\"a\"]").await;
    ada.leave().await;
    live::eventually("the end", || !shared.lock().unwrap().is_empty()).await;
    assert_eq!(*shared.lock().unwrap(), ["left [\"a\", \"c\"]"]);
    assert_eq!(groups.of(&id), [""; 0]);
    assert_eq!(groups.members("a").len(), 0);
    assert_eq!(groups.connections_of_user("ada").len(), 1);
    assert_eq!(server.handle.connections(), 2);
}

hub::client_methods! {
    trait ChatClient {
        fn receive_message(user: &str, text: &str) = "ReceiveMessage";
        fn tick() = "Tick";
    }
}

#[tokio::test(start_paused = true)]
async fn typed_clients_send_what_they_say() {
    let hub = Hub::new(Shared::default()).method("Say", async |cx: Cx, text: String| {
        cx.caller().receive_message("you", &text)?;
        cx.others().receive_message("somebody", &text)?;
        cx.all().tick()
    });
    let server = Server::start(hub);
    let (mut one, mut other) = (server.client().await, server.client().await);
    one.call("", "Say", "[\"hi\"]").await;
    let message = |user: &str| {
        format!(r#"{{"type":1,"target":"ReceiveMessage","arguments":["{user}","hi"]}}"#)
    };
    let tick = r#"{"type":1,"target":"Tick","arguments":[]}"#;
    one.expect(&[&message("you"), tick]).await;
    other.expect(&[&message("somebody"), tick]).await;
}

#[tokio::test(start_paused = true)]
async fn handles_ask_clients_and_know_when_they_go() {
    let hub = Hub::new(Shared::default()).method("Echo", echo);
    let server = Server::start(hub);
    let mut client = server.client().await;
    let id = server.handle.groups().everybody().remove(0);
    let ask = |seconds| {
        let client = server.handle.client(id.clone());
        tokio::spawn(async move {
            client
                .invoke_within::<i64>("Add", (1, 2), Duration::from_secs(seconds))
                .await
                .map_err(|error| error.to_string())
        })
    };
    let asked = ask(5);
    client
        .expect(&[r#"{"type":1,"invocationId":"s1","target":"Add","arguments":[1,2]}"#])
        .await;
    client
        .send(r#"{"type":3,"invocationId":"s1","result":3}"#)
        .await;
    assert_eq!(asked.await.unwrap(), Ok(3));

    // CR-05: too late, and then an answer that nobody waits for.
    let asked = ask(5);
    client.next().await;
    assert_eq!(
        asked.await.unwrap(),
        Err("Invocation canceled by the server.".into())
    );
    client
        .send(r#"{"type":3,"invocationId":"s2","result":3}"#)
        .await;
    assert_eq!(client.ask("Echo", "[1]").await, "1");

    // CR-04, CR-09
    let asked = ask(5);
    client.next().await;
    client
        .send(r#"{"type":3,"invocationId":"s3","error":"no"}"#)
        .await;
    assert_eq!(asked.await.unwrap(), Err("no".into()));
    let asked = ask(5);
    client.next().await;
    client.send(r#"{"type":3,"invocationId":"s4"}"#).await;
    let error = asked.await.unwrap().unwrap_err();
    assert!(error.contains("HubException' was thrown"), "{error}");

    let asked = ask(500);
    client.next().await;
    client.leave().await;
    assert_eq!(
        asked.await.unwrap(),
        Err(format!("Connection '{id}' disconnected."))
    );
    assert_eq!(
        ask(5).await.unwrap(),
        Err(format!("Connection '{id}' does not exist."))
    );
}
