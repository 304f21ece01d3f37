//! How fast is each hot room by itself? `cargo bench --bench rooms [-- NAME]`
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark that cannot go on stops"
)]

#[path = "work/mod.rs"]
mod work;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use work::{Amount, ROOMS};

fn rooms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rooms");
    group.sample_size(20);
    for (name, prepare) in ROOMS {
        let (amount, mut run) = prepare();
        group.throughput(match amount {
            Amount::Bytes(bytes) => Throughput::Bytes(bytes),
            Amount::Things(things) => Throughput::Elements(things),
        });
        group.bench_function(name, |bencher| bencher.iter(&mut run));
    }
    group.finish();
}

criterion_group!(benches, rooms);
criterion_main!(benches);
