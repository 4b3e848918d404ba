//! Which cargo profile a program was built with.

use std::path::Path;

/// The profile whose figures are published: fat LTO, one codegen unit (`Cargo.toml`).
pub const MEASURED: &str = "measured";

/// The profile of a program, from where cargo puts it: `target/PROFILE/examples/PROGRAM`. `None`
/// where it lies elsewhere.
///
/// ```
/// use std::path::Path;
/// let load = Path::new("target/measured/examples/load");
/// assert_eq!(bench::profile::of(load), Some(bench::profile::MEASURED));
/// ```
pub fn of(program: &Path) -> Option<&str> {
    let examples = program.parent()?;
    let profile = examples.parent()?.file_name()?.to_str()?;
    examples.ends_with("examples").then_some(profile)
}
