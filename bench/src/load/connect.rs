//! Connections that are opened and closed, over and over.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use super::{
    connections::PATIENCE,
    dialect::Dialect,
    idle,
    measurement::{Measurement, Observer, Recorder, Window},
    target::Target,
};

/// Opens connections and closes them, `at_once` at a time, for the time of `window`. The messages of
/// the measurement are connections, its latencies those from the call for one to the answer to all
/// that its dialect begins with.
///
/// # Errors
///
/// When a connection fails, or none is opened for 5 s.
pub fn connect<'a>(
    target: &Target,
    dialect: Dialect,
    at_once: usize,
    window: Window,
    observer: impl Into<Observer<'a>>,
) -> io::Result<Measurement> {
    let script = dialect.echo(1);
    thread::scope(|scope| {
        // They end with the receiver.
        let (opened, openings) = mpsc::sync_channel(at_once);
        for _ in 0..at_once {
            let (opened, script) = (opened.clone(), &script);
            scope.spawn(move || {
                loop {
                    let began = Instant::now();
                    let connected = idle::open(target, script).map(|_| began.elapsed());
                    let is_failed = connected.is_err();
                    if opened.send(connected).is_err() || is_failed {
                        return;
                    }
                }
            });
        }
        drop(opened);
        measure(window, observer.into(), &openings)
    })
}

fn measure(
    window: Window,
    mut observer: Observer<'_>,
    openings: &mpsc::Receiver<io::Result<Duration>>,
) -> io::Result<Measurement> {
    count(window.warm_up, None, &mut observer, openings)?;
    let mut recorder = Recorder::begin(&observer, 0)?;
    count(
        window.measured,
        Some(&mut recorder),
        &mut observer,
        openings,
    )?;
    recorder.end(0)
}

fn count(
    time: Duration,
    mut recorder: Option<&mut Recorder>,
    observer: &mut Observer<'_>,
    openings: &mpsc::Receiver<io::Result<Duration>>,
) -> io::Result<()> {
    let end = Instant::now() + time;
    let mut last = Instant::now();
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let left = observer.until_told().map_or(left, |due| left.min(due));
        match openings.recv_timeout(left) {
            Ok(took) => {
                let took = took?;
                last = Instant::now();
                if let Some(recorder) = recorder.as_deref_mut() {
                    recorder.count(1);
                    recorder.latency(took);
                }
            }
            Err(RecvTimeoutError::Timeout) if last.elapsed() < PATIENCE => {}
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "nobody is let in")),
        }
        if observer.is_to_be_told() {
            let so_far = recorder.as_deref_mut().map(|recorder| recorder.so_far(0));
            observer.tell(so_far.transpose()?)?;
        }
    }
    Ok(())
}
