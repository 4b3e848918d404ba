//! The same bytes to our machine and to tungstenite, cut at the same places: the same events, and
//! the same verdict. Where the two differ on purpose, [`known_difference`] says how and why, and
//! everything else is a failure.
//!
//! The seed is printed; `DIFFERENTIAL_SEED=<seed>` runs it again, `DIFFERENTIAL_CASES` more of it.

mod case;
mod outcome;

use std::{
    collections::BTreeMap,
    env,
    sync::Mutex,
    time::{SystemTime, UNIX_EPOCH},
};

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestError, TestRng, TestRunner},
};
use tokio_tungstenite::tungstenite;

use case::*;
use outcome::*;

/// Compares; gives the name of the known difference if there was one.
fn compare(case: &Case) -> Result<&'static str, String> {
    let (ours, theirs) = (ours(case), theirs(case));
    let fail = |what: &str| Err(format!("{what}\nours: {ours:#?}\ntheirs: {theirs:#?}"));

    // We say what was wrong, with the code of RFC 6455 7.4.1, where tungstenite sends nothing.
    let code = match ours.verdict {
        Verdict::Protocol => Some(1002),
        Verdict::InvalidUtf8 => Some(1007),
        Verdict::TooBig => Some(1009),
        Verdict::Open | Verdict::Closed => None,
    };
    let is_violation = code.is_some();
    if is_violation && ours.close_written != Some(code) {
        return fail("our Close does not name the violation");
    }
    if theirs.verdict > Verdict::Closed && theirs.close_written.is_some() {
        return fail("tungstenite has learnt to send a Close: compare the codes");
    }
    if ours.verdict == theirs.verdict && ours.seen == theirs.seen {
        if !is_violation && ours.close_written != theirs.close_written {
            return fail("the Close is answered differently");
        }
        return Ok("the same");
    }
    match known_difference(case, &ours, &theirs)? {
        Some(name) => Ok(name),
        None => fail("an unknown difference"),
    }
}

fn known_difference(
    case: &Case,
    ours: &Outcome,
    theirs: &Outcome,
) -> Result<Option<&'static str>, String> {
    // The frame that ended the connection on our side.
    let is_over = |frames: &usize| self::ours(&case.prefix(*frames)).verdict != Verdict::Open;
    let Some(last) = (1..=case.frames.len()).find(is_over) else {
        return Ok(None);
    };
    let frame = &case.frames[last - 1];
    let is_cut_off = case.missing > 0 && last == case.frames.len();
    let sees_alike = ours.seen == theirs.seen;

    // RFC 6455 5.2: "the minimal number of bytes MUST be used to encode the length". tungstenite
    // takes any form, and reads on as if it were the shortest.
    if ours.verdict == Verdict::Protocol
        && !frame.is_length_shortest()
        && frame.length_form != LengthForm::TopBitSet
    {
        if !theirs.seen.starts_with(&ours.seen) {
            return Ok(None);
        }
        let mut mended = case.clone();
        for frame in mended
            .frames
            .iter_mut()
            .filter(|frame| !frame.is_length_shortest())
        {
            if frame.length_form != LengthForm::TopBitSet {
                frame.length_form = LengthForm::Shortest;
            }
        }
        // A frame that is cut off must not become whole, nor a whole one be cut off.
        if mended.missing == 0 {
            let mended_outcome = self::theirs(&mended);
            if mended_outcome.seen != theirs.seen || mended_outcome.verdict != theirs.verdict {
                return Ok(None);
            }
            compare(&mended)?;
        }
        return Ok(Some("a length not in its shortest form"));
    }

    // RFC 6455 7.4: a code that must not be on the wire is a violation. tungstenite answers 1002
    // too, but gives its caller a clean Close with a code that the peer did not send.
    let invented = Some(Seen::Close(Some((1002, "Protocol violation".into()))));
    if let Some(code) = frame.close_code()
        && theirs.seen.last() == invented.as_ref()
        && theirs.verdict == Verdict::Closed
        && theirs.close_written == Some(Some(1002))
    {
        let before = &theirs.seen[..theirs.seen.len() - 1];
        if ours.verdict == Verdict::Protocol && ours.seen == before {
            return Ok(Some("a close code that is not allowed"));
        }
        // 1014 is in the IANA registry (bad gateway); tungstenite does not know it.
        let (last, ours_before) = ours.seen.split_last().unwrap();
        if code == 1014
            && ours.verdict == Verdict::Closed
            && ours.close_written == Some(Some(1014))
            && matches!(last, Seen::Close(Some((1014, _))))
            && ours_before == before
        {
            return Ok(Some("close code 1014"));
        }
    }

    // We judge a header as soon as it is there, and text at its first bad byte; tungstenite waits
    // for the whole frame, and here it does not come.
    if is_cut_off && sees_alike && ours.verdict > Verdict::Closed && theirs.verdict == Verdict::Open
    {
        let name = match ours.verdict {
            Verdict::InvalidUtf8 => "text refused before its frame is whole",
            _ => "a header refused before its payload is there",
        };
        return Ok(Some(name));
    }

    // Two faults in one frame: which of them it is refused for is a matter of taste.
    if sees_alike && ours.verdict == Verdict::Protocol {
        let is_too_big = frame.payload.len() > LIMIT || frame.length_form == LengthForm::TopBitSet;
        if theirs.verdict == Verdict::TooBig && is_too_big {
            // tungstenite checks the size first. RFC 6455 5.2: the top bit "MUST be 0".
            return Ok(Some("a frame of a wrong form that is too big as well"));
        }
        if theirs.verdict == Verdict::InvalidUtf8 && frame.close_code().is_some() {
            return Ok(Some(
                "a close code not allowed, with a reason that is not text",
            ));
        }
    }
    Ok(None)
}

#[test]
fn random_frames_have_the_outcome_they_have_in_tungstenite() {
    let number = |name| env::var(name).ok().and_then(|value| value.parse().ok());
    let seed: u64 = number("DIFFERENTIAL_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    println!("DIFFERENTIAL_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = ProptestConfig {
        cases: number("DIFFERENTIAL_CASES").unwrap_or(4_000) as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);

    let met = Mutex::new(BTreeMap::<String, usize>::new());
    let run = runner.run(&case(), |case| {
        let how = compare(&case).map_err(TestCaseError::fail)?;
        let mut met = met.lock().unwrap();
        *met.entry(how.into()).or_default() += 1;
        let verdict = format!("{:?} for us", ours(&case).verdict);
        *met.entry(verdict).or_default() += 1;
        Ok(())
    });
    let met = met.into_inner().unwrap();
    println!("{met:#?}");
    match run {
        Ok(()) => {}
        Err(TestError::Fail(reason, case)) => {
            panic!("DIFFERENTIAL_SEED={seed}\n{case:#?}\n{reason}")
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
    // The generator reaches every verdict, or the comparison says little.
    for verdict in ["Open", "Closed", "Protocol", "InvalidUtf8", "TooBig"] {
        let count = met.get(&format!("{verdict} for us")).copied();
        assert!(count > Some(20), "{verdict}: {count:?}");
    }
}

fn one(to_server: bool, frames: &[RawFrame], missing: usize) -> Case {
    Case {
        to_server,
        frames: frames.to_vec(),
        missing,
        cuts: Vec::new(),
    }
}

#[test]
fn every_close_code_has_the_outcome_it_has_in_tungstenite_or_a_known_one() {
    for code in 0..=u16::MAX {
        let close = RawFrame::new(0x88, code.to_be_bytes());
        let expected = match code {
            1000..=1003 | 1007..=1013 | 3000..=4999 => "the same",
            1014 => "close code 1014",
            _ => "a close code that is not allowed",
        };
        assert_eq!(compare(&one(true, &[close], 0)), Ok(expected), "{code}");
    }
}

/// One case for each known difference, so that none is met by chance only.
#[test]
fn the_known_differences_are_still_there() {
    let with_form = |first, payload: Vec<u8>, form| RawFrame {
        length_form: form,
        ..RawFrame::new(first, payload)
    };
    let unmasked = |first, payload: Vec<u8>| RawFrame {
        is_masked_rightly: false,
        ..RawFrame::new(first, payload)
    };
    let shortest = "a length not in its shortest form";
    let early = "a header refused before its payload is there";
    let text = "text refused before its frame is whole";
    let both = "a frame of a wrong form that is too big as well";
    let cases = [
        (
            shortest,
            with_form(0x82, vec![1; 125], LengthForm::In16Bits),
            0,
        ),
        (
            shortest,
            with_form(0x82, vec![1; 126], LengthForm::In64Bits),
            0,
        ),
        (text, RawFrame::new(0x81, *b"a\xffb"), 1),
        (text, RawFrame::new(0x01, *b"\xed\xa0\x80"), 1),
        (early, RawFrame::new(0xa2, *b"ab"), 1),
        (early, RawFrame::new(0x80, *b"ab"), 1),
        (early, RawFrame::new(0x09, *b"ab"), 1),
        (early, RawFrame::new(0x89, [0; 126]), 1),
        (early, unmasked(0x82, vec![1; 2]), 1),
        (both, unmasked(0x82, vec![1; LIMIT + 1]), 0),
        (both, with_form(0x82, vec![], LengthForm::TopBitSet), 0),
        (both, RawFrame::new(0x80, [1; LIMIT + 1]), 0),
        (
            "a close code not allowed, with a reason that is not text",
            RawFrame::new(0x88, *b"\x03\xed\xff"),
            0,
        ),
    ];
    for to_server in [true, false] {
        for (name, frame, missing) in &cases {
            let case = one(to_server, std::slice::from_ref(frame), *missing);
            assert_eq!(compare(&case), Ok(*name), "{case:?}");
        }
    }
}

/// RFC 6455 5.5.1: what follows a Close is discarded, we say; as a client, tungstenite calls it a
/// violation when it is read on.
#[test]
fn data_behind_a_close_is_discarded_by_us_and_refused_by_tungstenites_client() {
    let frames = [
        RawFrame::new(0x88, *b"\x03\xe8"),
        RawFrame::new(0x82, *b"x"),
    ];
    let case = one(false, &frames, 0);
    assert_eq!(ours(&case).verdict, Verdict::Closed);
    let wire = Wire {
        parts: case.parts().into(),
        written: Vec::new(),
    };
    let role = tungstenite::protocol::Role::Client;
    let mut socket = tungstenite::protocol::WebSocket::from_raw_socket(wire, role, None);
    assert!(socket.read().unwrap().is_close());
    assert!(matches!(
        socket.read(),
        Err(tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ReceivedAfterClosing
        ))
    ));
}
