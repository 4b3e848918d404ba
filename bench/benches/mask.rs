//! Unmasking a payload: [`raw_ws::mask`] beside the loop that RFC 6455 section 5.3 describes.

mod support {
    pub(crate) mod settings;
}

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};

fn main() {
    let mut criterion = support::settings::criterion(50, Duration::from_secs(1));
    mask(&mut criterion);
    criterion.final_summary();
}

fn mask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mask");
    for size in [20, 125, 1024, 16 * 1024, 64 * 1024] {
        group.throughput(Throughput::Bytes(size as u64));
        let mut payload = vec![7; size];
        // The limit: as many bytes read and written, and nothing done with them.
        let bytes = payload.clone();
        group.bench_function(BenchmarkId::new("memcpy", size), |b| {
            b.iter(|| std::hint::black_box(&mut payload).copy_from_slice(&bytes));
        });
        group.bench_function(BenchmarkId::new("raw-ws", size), |b| {
            b.iter(|| raw_ws::mask(std::hint::black_box(&mut payload), KEY));
        });
        group.bench_function(BenchmarkId::new("byte-by-byte", size), |b| {
            b.iter(|| byte_by_byte(std::hint::black_box(&mut payload), KEY));
        });
    }
}

/// The definition, as it reads. The compiler may make of it what it can.
fn byte_by_byte(payload: &mut [u8], key: [u8; 4]) {
    for (i, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[i % 4];
    }
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
