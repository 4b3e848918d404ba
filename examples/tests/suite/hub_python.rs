//! `pysignalr` and `signalrcore` against `spec_server`: `python/run.py`.

use std::{env, path::Path, process::Command};

use crate::{
    official::{Target, run},
    skip::skip,
};

#[test]
fn clients_in_python() {
    let Some(target) = Target::find() else { return };
    let python = env::var("SIGNALR_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python)
        .args(["-c", "import pysignalr, signalrcore"])
        .output();
    if !has.is_ok_and(|output| output.status.success()) {
        return skip(
            "pysignalr and signalrcore are missing; SIGNALR_PYTHON names a Python with them",
        );
    }
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/run.py");
    let mut command = Command::new(python);
    command.arg(suite).arg(target.url()).arg("--auth");
    run(command, 200);
}
