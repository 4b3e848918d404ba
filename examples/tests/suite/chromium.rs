//! The browser.

use std::{
    env,
    process::{Command, Stdio},
};

use crate::skip::skip;

/// Whether there is one, with a word to the terminal if not.
pub(crate) fn is_there() -> bool {
    let chromium = env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into());
    let mut version = Command::new(&chromium);
    version.arg("--version").stdout(Stdio::null());
    let runs = version.status().is_ok_and(|status| status.success());
    if !runs {
        skip(&format!("{chromium} does not run; CHROMIUM names another"));
    }
    runs
}
