//! A socket that is cut in the middle of everything.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hub::{Context, Hub};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

type Client = WebSocketStream<TcpStream>;

async fn connect(address: std::net::SocketAddr) -> Client {
    let stream = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://{address}/rooms");
    let (mut client, _) = client_async(url, stream).await.unwrap();
    say(&mut client, r#"{"protocol":"json","version":1}"#).await;
    assert_eq!(hear(&mut client).await, "{}\u{1e}");
    say(
        &mut client,
        r#"{"type":1,"invocationId":"1","target":"Join","arguments":["room"]}"#,
    )
    .await;
    let joined = "{\"type\":3,\"invocationId\":\"1\",\"result\":null}\u{1e}";
    assert_eq!(hear(&mut client).await, joined);
    client
}

async fn say(client: &mut Client, record: &str) {
    let record = format!("{record}\u{1e}");
    client.send(Message::text(record)).await.unwrap();
}

async fn hear(client: &mut Client) -> String {
    let message = timeout(Duration::from_secs(10), client.next()).await;
    let message = message.unwrap().unwrap().unwrap();
    message.into_text().unwrap().to_string()
}

#[tokio::test]
async fn api_09_what_runs_on_disconnect_knows_the_groups_of_a_connection_that_was_reset() {
    let hub = Hub::new(())
        .method("Join", async |cx: Context, group: String| {
            cx.groups().join(&group)
        })
        .on_disconnected(async |cx, _| {
            let groups = cx.groups().mine();
            groups
                .iter()
                .try_for_each(|group| cx.group(group).send("Left", (group,)))
        });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(raw_ws::serve(listener, hub.router("/rooms")).into_future());

    let mut stays = connect(address).await;
    let goes = connect(address).await;
    goes.get_ref().set_zero_linger().unwrap();
    drop(goes);

    let left = "{\"type\":1,\"target\":\"Left\",\"arguments\":[\"room\"]}\u{1e}";
    assert_eq!(hear(&mut stays).await, left);
    server.abort();
}
