//! The rows about messages.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use futures_util::SinkExt;
use raw_ws::{Config, Frame, Message, OpCode, proto::State};
use tokio_tungstenite::tungstenite::{Message as Theirs, protocol::frame::coding::Data};

use super::support::{close, fragment, handling, next, soon};

#[tokio::test]
async fn receive_async() {
    let (mut client, outcome) = handling(Config::new(), async |mut ws| ws.recv().await).await;
    client
        .send(fragment(Data::Text, "in ", false))
        .await
        .unwrap();
    client
        .send(fragment(Data::Continue, "pieces", true))
        .await
        .unwrap();
    let message = soon(outcome).await.unwrap().unwrap();
    assert_eq!(message, Some(Message::text("in pieces")));
}

#[tokio::test]
async fn receive_async_with_message_type() {
    let (mut client, outcome) = handling(Config::new(), async |mut ws| {
        [
            ws.recv().await.unwrap(),
            ws.recv().await.unwrap(),
            ws.recv().await.unwrap(),
        ]
    })
    .await;
    client.send(Theirs::text("text")).await.unwrap();
    client.send(Theirs::binary("bytes")).await.unwrap();
    client.send(close(1000)).await.unwrap();
    let received = soon(outcome).await.unwrap();
    let expected = [
        Some(Message::text("text")),
        Some(Message::binary("bytes")),
        None,
    ];
    assert_eq!(received, expected);
    assert!(next(&mut client).await.is_close()); // answered already
}

#[tokio::test]
async fn receive_async_with_end_of_message() {
    let (mut client, outcome) = handling(Config::new(), async |mut ws| {
        [
            ws.recv_frame().await.unwrap(),
            ws.recv_frame().await.unwrap(),
        ]
        .map(|frame| frame.map(|frame| (frame.opcode(), frame.is_final())))
    })
    .await;
    client
        .send(fragment(Data::Text, "in ", false))
        .await
        .unwrap();
    client
        .send(fragment(Data::Continue, "pieces", true))
        .await
        .unwrap();
    let frames = soon(outcome).await.unwrap();
    let expected = [
        Some((OpCode::Text, false)),
        Some((OpCode::Continuation, true)),
    ];
    assert_eq!(frames, expected);
}

#[tokio::test]
async fn receive_async_with_cancellation_token() {
    let (mut client, outcome) = handling(Config::new(), async |mut ws| {
        {
            // Polled once, then dropped.
            let mut recv = pin!(ws.recv());
            poll_fn(|cx| Poll::Ready(recv.as_mut().poll(cx).is_pending())).await;
        }
        let is_open = ws.state() == State::Open;
        ws.send("cancelled").await.unwrap();
        (is_open, ws.recv().await.unwrap())
    })
    .await;
    assert_eq!(next(&mut client).await, Theirs::text("cancelled"));
    client.send("and on".into()).await.unwrap();
    let received = soon(outcome).await.unwrap();
    assert_eq!(received, (true, Some(Message::text("and on"))));
}

#[tokio::test]
async fn send_async() {
    let (mut client, _) = handling(Config::new(), async |mut ws| {
        ws.send("one").await?;
        ws.feed("two")?;
        ws.feed(vec![3])?;
        ws.flush().await?;
        let sender = ws.sender();
        let elsewhere = tokio::spawn(async move { sender.send("four") });
        elsewhere.await.unwrap().unwrap();
        ws.recv().await.map(drop)
    })
    .await;
    let expected = [
        Theirs::text("one"),
        Theirs::text("two"),
        Theirs::binary(vec![3]),
        Theirs::text("four"),
    ];
    for message in expected {
        assert_eq!(next(&mut client).await, message);
    }
}

#[tokio::test]
async fn send_async_with_end_of_message() {
    let (mut client, _) = handling(Config::new(), async |mut ws| {
        ws.send_frame(Frame::text("in ", false)).await?;
        ws.send_frame(Frame::continuation("pieces", true)).await
    })
    .await;
    assert_eq!(next(&mut client).await, Theirs::text("in pieces"));
}
