//! A connection's queue without a connection: the same bounds, order and membership.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use raw_ws::{
    CloseCode, CloseFrame, Config, Mailbox, Message, MessageKind, SendError, Sender, Topics,
};
use tokio::{task::yield_now, time::timeout};

const SOON: Duration = Duration::from_secs(20);

async fn next(mailbox: &mut Mailbox) -> Message {
    timeout(SOON, mailbox.recv()).await.unwrap().unwrap()
}

fn drained(mailbox: &mut Mailbox) -> Vec<Message> {
    std::iter::from_fn(|| mailbox.try_recv()).collect()
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A message that is short, longer than what is batched, or longer than a batch.
fn numbered(nth: u32) -> Message {
    let len = match nth % 50 {
        0 => 70_000,
        1 => 5_000,
        _ => nth as usize % 300,
    };
    let text = format!("{nth}{}", ".".repeat(len));
    match nth % 3 {
        0 => Message::text(text),
        _ => Message::binary(text),
    }
}

#[tokio::test]
async fn fed_sent_and_published_messages_come_in_order_and_of_their_kind() {
    const COUNT: u32 = 2_000;
    let config = Config::new().max_queued_bytes(64 << 20);
    let mut mailbox = Mailbox::new(config.max_queued_messages(COUNT as usize));
    let sender = mailbox.sender();
    let topics = Topics::<u32>::new();
    topics.subscribe(1, &sender);
    let mut expected = 0;
    for nth in 0..COUNT {
        let message = numbered(nth);
        match nth / 7 % 3 {
            0 => sender.feed(message.kind(), message.as_bytes()).unwrap(),
            1 => sender.send(message).unwrap(),
            _ => assert_eq!(topics.publish(&1, &message.into()), 1),
        }
        // Taken now and then, also out of a batch that is still being filled.
        if nth % 90 < 5 {
            for _ in 0..3 {
                if let Some(message) = mailbox.try_recv() {
                    assert!(message == numbered(expected), "{expected}");
                    expected += 1;
                }
            }
        }
    }
    while expected < COUNT {
        assert!(next(&mut mailbox).await == numbered(expected), "{expected}");
        expected += 1;
    }
    assert_eq!(mailbox.queued_bytes(), 0);
    assert_eq!(mailbox.try_recv(), None);
    // Everything was counted out again.
    for nth in 0..COUNT {
        assert_eq!(sender.send("x"), Ok(()), "{nth}");
    }
    assert_eq!(sender.send("x"), Err(SendError::SlowConsumer));
}

#[tokio::test]
async fn what_is_taken_is_not_a_copy() {
    let mut mailbox = Mailbox::new(Config::new());
    let news = raw_ws::PreparedMessage::new(vec![7; 10_000]);
    for _ in 0..2 {
        mailbox.sender().send_prepared(&news).unwrap();
    }
    let (one, other) = (next(&mut mailbox).await, next(&mut mailbox).await);
    assert_eq!(one.as_bytes().as_ptr(), other.as_bytes().as_ptr());
}

#[tokio::test]
async fn sending_and_publishing_wake_the_receiver_and_feeding_does_not() {
    let mut mailbox = Mailbox::new(Config::new());
    let sender = mailbox.sender();
    let topics = Topics::<u32>::new();
    topics.subscribe(1, &sender);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    let mut turn = |expected: &[&str]| {
        let woken = woken.0.swap(0, Ordering::SeqCst);
        for text in expected {
            let message = Message::text(*text);
            assert_eq!(mailbox.poll_recv(&mut cx), Poll::Ready(Some(message)));
        }
        assert!(mailbox.poll_recv(&mut cx).is_pending());
        woken
    };
    assert_eq!(turn(&[]), 0);
    sender.feed(MessageKind::Text, b"fed").unwrap();
    assert_eq!(turn(&["fed"]), 0);
    sender.send("sent").unwrap();
    assert_eq!(turn(&["sent"]), 1);
    topics.publish(&1, &"one".into());
    topics.publish(&1, &"two".into());
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(turn(&["one", "two"]), 1, "once for a batch");

    let publisher = tokio::spawn(async move {
        for nth in 0..100 {
            topics.publish(&1, &numbered(nth).into());
            yield_now().await;
        }
    });
    for nth in 0..100 {
        assert_eq!(next(&mut mailbox).await, numbered(nth));
    }
    publisher.await.unwrap();
}

#[tokio::test]
async fn a_receiver_dropped_at_any_poll_loses_nothing() {
    let mut mailbox = Mailbox::new(Config::new());
    let sender = mailbox.sender();
    let task = tokio::spawn(async move {
        for nth in 0..500_u32 {
            sender.send(nth.to_string()).unwrap();
            if nth % 3 == 0 {
                yield_now().await;
            }
        }
    });
    for nth in 0..500_u32 {
        let message = loop {
            let polled = {
                let mut recv = pin!(mailbox.recv());
                poll_fn(|cx| Poll::Ready(recv.as_mut().poll(cx))).await
            };
            match polled {
                Poll::Ready(message) => break message,
                Poll::Pending => yield_now().await,
            }
        };
        assert_eq!(message, Some(nth.to_string().into()));
    }
    task.await.unwrap();
    // With real wake-ups: who takes over is woken, not who left.
    assert!(
        timeout(Duration::from_millis(1), mailbox.recv())
            .await
            .is_err()
    );
    let sender = mailbox.sender();
    let later = tokio::spawn(async move {
        yield_now().await;
        sender.send("later").unwrap();
    });
    assert_eq!(next(&mut mailbox).await, "later".into());
    later.await.unwrap();
}

#[tokio::test]
async fn a_full_mailbox_is_cut_and_its_neighbour_is_served() {
    let config = Arc::new(Config::new().max_queued_messages(10).max_queued_bytes(100));
    let (mut slow, mut other) = (Mailbox::new(config.clone()), Mailbox::new(config));
    let topics = Topics::<u32>::new();
    for mailbox in [&slow, &other] {
        topics.subscribe(1, &mailbox.sender());
    }
    assert_eq!(slow.sender().send(vec![0; 99]), Err(SendError::TooBig));
    for nth in 0..10_u32 {
        assert_eq!(topics.publish(&1, &nth.to_string().into()), 2);
        assert_eq!(next(&mut other).await, nth.to_string().into());
    }
    assert!(!slow.is_cut());
    assert_eq!(topics.publish(&1, &"one too many".into()), 1);
    assert!(slow.is_cut() && slow.sender().is_closed());
    assert_eq!((slow.queued_bytes(), slow.close_frame()), (0, None));
    assert_eq!(timeout(SOON, slow.recv()).await.unwrap(), None);
    assert_eq!(topics.subscribers(&1), 1);
    assert_eq!(next(&mut other).await, "one too many".into());

    // By bytes: 12 with the header.
    for _ in 0..8 {
        other.sender().send(vec![0; 10]).unwrap();
    }
    assert_eq!(other.queued_bytes(), 96);
    assert_eq!(other.sender().send("xyz"), Err(SendError::SlowConsumer));
    assert!(other.is_cut());
}

#[tokio::test]
async fn a_close_comes_behind_everything_and_wakes_the_receiver() {
    let mut mailbox = Mailbox::new(Config::new());
    let sender = mailbox.sender();
    let topics = Topics::<u32>::new();
    topics.subscribe(1, &sender);
    assert_eq!((mailbox.close_frame(), mailbox.is_cut()), (None, false));
    let close = CloseFrame::new(CloseCode::new(4000), "enough").unwrap();
    let closer = {
        let (sender, close) = (sender.clone(), close.clone());
        tokio::spawn(async move {
            yield_now().await;
            sender.send("last").unwrap();
            sender.close(close);
        })
    };
    assert_eq!(next(&mut mailbox).await, "last".into());
    assert_eq!(timeout(SOON, mailbox.recv()).await.unwrap(), None);
    assert_eq!(mailbox.recv().await, None, "and again");
    closer.await.unwrap();
    assert_eq!(
        (mailbox.close_frame(), mailbox.is_cut()),
        (Some(close), false)
    );
    assert_eq!(sender.send("late"), Err(SendError::Closed));
    assert!(topics.is_empty(), "its memberships are forgotten");
}

#[tokio::test]
async fn a_dropped_mailbox_leaves_nothing_behind() {
    let topics = Topics::<u32>::new();
    let mailbox = Mailbox::new(Config::new());
    let sender = mailbox.sender();
    for topic in 0..100 {
        topics.subscribe(topic, &sender);
    }
    drop(mailbox);
    assert!(topics.is_empty() && sender.is_closed());
    assert_eq!(sender.send("late"), Err(SendError::Closed));
    assert!(!topics.subscribe(1, &sender));
    assert_eq!(topics.topics_of(&sender), [0; 0]);
}

#[tokio::test]
async fn a_publication_reaches_whom_the_publisher_chooses() {
    let mut mailboxes: Vec<_> = (0..3).map(|_| Mailbox::new(Config::new())).collect();
    let senders: Vec<Sender> = mailboxes.iter().map(Mailbox::sender).collect();
    let topics = Topics::<u32>::new();
    for (nth, sender) in senders.iter().enumerate() {
        for topic in 0..=nth as u32 {
            topics.subscribe(topic, sender);
        }
    }
    assert_eq!(topics.topics_of(&senders[2]), [0, 1, 2]);
    let ids = |topic| {
        let senders = topics.senders(topic);
        let mut ids: Vec<_> = senders.iter().map(Sender::id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(&1), [senders[1].id(), senders[2].id()]);
    assert_eq!(ids(&7), [0; 0]);

    let chosen = [senders[0].id(), senders[2].id()];
    let is_chosen = |sender: &Sender| chosen.contains(&sender.id());
    assert_eq!(topics.publish_if(&0, &"1".into(), is_chosen), 2);
    assert_eq!(topics.publish_if(&1, &"2".into(), is_chosen), 1);
    assert_eq!(topics.publish_if(&7, &"3".into(), is_chosen), 0);
    assert_eq!(topics.publish_if(&0, &"4".into(), |_| false), 0);
    assert_eq!(drained(&mut mailboxes[0]), ["1".into()]);
    assert_eq!(drained(&mut mailboxes[1]), []);
    assert_eq!(drained(&mut mailboxes[2]), ["1".into(), "2".into()]);

    topics.unsubscribe(&1, &senders[2]);
    assert_eq!(topics.topics_of(&senders[2]), [0, 2]);
}
