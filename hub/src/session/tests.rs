use std::time::Duration;

use super::*;

fn session(options: HubOptions) -> (Session, Instant) {
    let now = Instant::now();
    (Session::new(Arc::new(options), true, false, now), now)
}

#[test]
fn h_08_a_handshake_that_takes_too_long_is_refused() {
    let (mut session, now) = session(HubOptions::default());
    let deadline = now + Duration::from_secs(15);
    assert_eq!(session.poll_timeout(), Some(deadline));
    assert_eq!(
        session.handle_timeout(deadline - Duration::from_millis(1)),
        None
    );
    assert_eq!(session.handle_timeout(deadline), Some(End::Handshake));
    let (format, outgoing) = session.outgoing();
    assert_eq!(format, TransferFormat::Text);
    assert_eq!(
        outgoing,
        "{\"error\":\"Handshake was canceled.\"}\u{1e}".as_bytes()
    );
}
