//! Every feature of `hub::client`, checked against a server of the contract that `spec_server` and a
//! real ASP.NET Core server serve: over each transport, in each protocol.
//!
//! Run it: `cargo run --release --example client_check -- http://127.0.0.1:5001`
//! (against `cargo run --release --example spec_server`)

mod calls;
mod lives;
mod site;
mod streams;
mod targets;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use examples::{Error, say};
use hub::{Transport, protocol::Protocol};
use site::{Check, Site};
use tokio::time::timeout;

/// Longer than any check takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Checks that run at once: most wait for the server.
const AT_ONCE: usize = 8;

/// Checks the Rust client of SignalR against a server of the contract
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The server: spec_server, or another that serves the same hubs
    url: String,
    /// Only checks whose name holds this; a name is TRANSPORT/PROTOCOL/CHECK
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// The PEM file with the certificate that is trusted, of a server at https:
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Only tell which checks there are
    #[arg(long)]
    list: bool,
}

struct Named {
    name: String,
    site: Site,
    check: Check,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let options = Options::parse();
    let checks = all(&options)?;
    if options.list {
        for Named { name, .. } in &checks {
            say!("{name}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let count = checks.len();
    let mut failed = 0;
    let mut running = tokio::task::JoinSet::new();
    let mut checks = checks.into_iter();
    loop {
        while running.len() < AT_ONCE
            && let Some(Named { name, site, check }) = checks.next()
        {
            running.spawn(async move {
                // A check that panics is one that failed.
                let verdict = tokio::spawn(timeout(PATIENCE, check(site))).await;
                let verdict = match verdict {
                    Ok(Ok(Ok(()))) => Ok(()),
                    Ok(Ok(Err(why))) => Err(why.to_string()),
                    Ok(Err(_)) => Err(format!("nothing within {PATIENCE:?}")),
                    Err(panic) => Err(panic.to_string()),
                };
                (name, verdict)
            });
        }
        match running.join_next().await {
            Some(Ok((name, Ok(())))) => say!("ok {name}"),
            Some(Ok((name, Err(why)))) => {
                failed += 1;
                say!("FAILED {name}: {why}");
            }
            Some(Err(error)) => {
                failed += 1;
                say!("FAILED: {error}");
            }
            None => break,
        }
    }
    say!("{} passed, {failed} failed", count - failed);
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Each check, each way to connect.
fn all(options: &Options) -> Result<Vec<Named>, Error> {
    let trust = options.trust.as_deref().map(site::trusting).transpose()?;
    let mut all = Vec::new();
    for transport in Transport::ALL {
        for protocol in Protocol::ALL {
            // Server-sent events carry text alone.
            if transport == Transport::ServerSentEvents && protocol != Protocol::Json {
                continue;
            }
            let site = Site {
                url: options.url.trim_end_matches('/').to_owned(),
                transport,
                protocol,
                trust: trust.clone(),
            };
            let checks = [
                calls::CHECKS,
                streams::CHECKS,
                targets::CHECKS,
                lives::CHECKS,
            ];
            for (name, check) in checks.into_iter().flatten() {
                let name = format!("{}/{}/{name}", transport.name(), protocol.name());
                if name.contains(&options.only) {
                    let site = site.clone();
                    all.push(Named {
                        name,
                        site,
                        check: *check,
                    });
                }
            }
        }
    }
    Ok(all)
}
