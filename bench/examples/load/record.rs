//! What a load found out, in words and as JSON.

use std::{env, fmt, fs, io, path::Path};

use bench::{
    load::{Flood, IdleMemory, Measurement, Slow},
    machine::{self, Machine},
    results::{Figures, Memory, Percentiles},
    say,
};
use serde_json::{Value, json};

/// The result of a load.
pub(crate) struct Record {
    words: String,
    figures: Value,
    /// Whether the server did what was asked of it.
    pub(crate) is_good: bool,
}

impl Record {
    pub(crate) fn new(words: &impl fmt::Display, figures: Value) -> Self {
        Self {
            words: words.to_string(),
            figures,
            is_good: true,
        }
    }

    /// Prints it, and writes it to a file as JSON; to `-` as JSON alone. Gives whether it is good.
    pub(crate) fn keep(self, file: Option<&Path>) -> io::Result<bool> {
        let is_output = file == Some(Path::new("-"));
        if !is_output && !self.words.is_empty() {
            say!("{}", self.words);
        }
        let Some(file) = file else {
            return Ok(self.is_good);
        };
        let command: Vec<_> = env::args().map(without_query).collect();
        let whole = json!({
            "command": command.join(" "),
            "date": machine::today(),
            "machine": Machine::here(),
            "result": self.figures,
        });
        let text = format!("{whole:#}\n");
        if is_output {
            say!("{}", text.trim_end());
        } else {
            fs::write(file, text).map_err(|e| {
                io::Error::new(e.kind(), format!("cannot write {}: {e}", file.display()))
            })?;
        }
        Ok(self.is_good)
    }
}

/// A query may hold a token, and a file is passed on.
fn without_query(argument: String) -> String {
    match argument.split_once('?') {
        Some((before, _)) if before.contains("://") => format!("{before}?…"),
        _ => argument,
    }
}

impl From<Measurement> for Record {
    fn from(measurement: Measurement) -> Self {
        Self::new(&measurement, json!(Figures::from(&measurement)))
    }
}

impl From<IdleMemory> for Record {
    fn from(memory: IdleMemory) -> Self {
        Self::new(&memory, json!(Memory::from(&memory)))
    }
}

impl From<Flood> for Record {
    fn from(flood: Flood) -> Self {
        let figures = json!({
            "alone": Percentiles::from(&flood.alone),
            "beside_the_flood": Percentiles::from(&flood.beside),
            "flooded_per_second": flood.flooded_per_second,
        });
        Self::new(&flood, figures)
    }
}

impl From<Slow> for Record {
    fn from(slow: Slow) -> Self {
        let seconds = slow.cut_after.iter().map(|time| time.as_secs_f64());
        let figures = json!({
            "latency": Percentiles::from(&slow.latency),
            "cut_after_seconds": seconds.collect::<Vec<_>>(),
            "resident_bytes": { "before": slow.resident.before, "most": slow.resident.most },
            "kernel_bytes": { "before": slow.kernel.before, "most": slow.kernel.most },
        });
        Self::new(&slow, figures)
    }
}
