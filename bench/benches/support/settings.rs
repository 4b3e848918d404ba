//! How long criterion takes. The whole of `cargo bench` is to be over in a few minutes.

use std::time::Duration;

use criterion::Criterion;

/// So many samples in `measurement`; what the command line says goes before.
pub(crate) fn criterion(samples: usize, measurement: Duration) -> Criterion {
    Criterion::default()
        .sample_size(samples)
        .measurement_time(measurement)
        .warm_up_time(Duration::from_millis(400))
        .configure_from_args()
}
