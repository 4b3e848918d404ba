//! How far a load is, on the terminal.

use std::ops::ControlFlow;

use bench::load::Observer;
use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error, where that is a terminal; gone when the load is over.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Of a load that is measured for so long.
    pub(crate) fn new(seconds: u16) -> Self {
        let bar = ProgressBar::new(u64::from(seconds) * 1000);
        let style = ProgressStyle::with_template("{bar:30} {msg}");
        bar.set_style(style.expect("a template without mistakes"));
        bar.set_message("warming up");
        Self(bar)
    }

    /// Shows what the load tells; where nobody looks, the load has nothing to tell.
    pub(crate) fn watch<'a>(&'a self, observer: Observer<'a>) -> Observer<'a> {
        if self.0.is_hidden() {
            return observer;
        }
        observer.telling(|so_far| {
            if let Some(so_far) = so_far {
                self.0.set_position(so_far.elapsed.as_millis() as u64);
                let percent = |share: Option<f64>| share.map_or(0.0, |share| share * 100.0);
                self.0.set_message(format!(
                    "{:.0} messages/s, p50 {:.1?}, server {:.0} % busy, load {:.0} %",
                    so_far.messages_per_second(),
                    so_far.latency_at(0.5),
                    percent(so_far.server_busy()),
                    percent(so_far.client_busy()),
                ));
            }
            self.0.tick();
            ControlFlow::Continue(())
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
