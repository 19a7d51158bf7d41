//! Measuring: Criterion decides how often, and each round takes the subject and what it is compared with side by
//! side, so that the ratio holds on a busy machine too.

use criterion::{Criterion, SamplingMode};
use std::time::{Duration, Instant};

/// What is claimed of a value.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// Nothing: it is told.
    Told,
}

/// One round: how long the subject took, and how long what it is compared with.
#[derive(Clone, Copy, Default)]
pub(crate) struct Round {
    /// The subject.
    pub(crate) subject: Duration,
    /// What it is compared with.
    pub(crate) reference: Duration,
}

impl Round {
    /// Times the two one after the other.
    pub(crate) fn time(reference: impl FnOnce(), subject: impl FnOnce()) -> Self {
        let start = Instant::now();
        reference();
        let middle = Instant::now();
        subject();
        Self {
            reference: middle - start,
            subject: middle.elapsed(),
        }
    }
}

/// How long the least disturbed samples of a benchmark took, as other load on the machine only ever adds: a tenth of
/// the samples was as fast as this or faster.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    /// Seconds that a round of the subject takes.
    pub(crate) subject: f64,
    /// Seconds that a round of what it is compared with takes.
    pub(crate) reference: f64,
    /// By how many seconds the subject takes longer, in the least disturbed samples: where the two are nearly the same,
    /// that is told better within a sample, whose two halves were disturbed alike, than between two.
    pub(crate) excess: f64,
}

impl Measured {
    /// The subject's time as a multiple of the reference's.
    pub(crate) fn ratio(self) -> f64 {
        self.subject / self.reference
    }
}

/// Prints the line that `cargo xtask bench` collects.
pub(crate) fn report(name: &str, value: f64, unit: &str, bound: Bound) {
    let bound = match bound {
        Bound::AtMost(limit) => format!("<={limit}"),
        Bound::AtLeast(limit) => format!(">={limit}"),
        Bound::Told => "-".to_owned(),
    };
    println!("bench\t{name}\t{value}\t{unit}\t{bound}");
}

/// Measures `round` under `name`. A `slow` one takes milliseconds or more and is run less often.
pub(crate) fn measure(name: &str, slow: bool, mut round: impl FnMut() -> Round) -> Measured {
    // How many rounds, and what they took together: enough of them to have SQLite's checkpoints among them.
    let mut samples: Vec<(f64, Round)> = Vec::new();
    let mut criterion = Criterion::default()
        .sample_size(if slow { 20 } else { 100 })
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    let mut group = criterion.benchmark_group("claims");
    if slow {
        group.sampling_mode(SamplingMode::Flat);
    }
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            let mut sum = Round::default();
            for _ in 0..rounds {
                let one = round();
                sum.subject += one.subject;
                sum.reference += one.reference;
            }
            samples.push((rounds as f64, sum));
            sum.subject
        });
    });
    group.finish();
    let at = |quantile: f64| {
        let part = |part: fn(&Round) -> Duration| {
            let seconds = samples
                .iter()
                .map(|(rounds, sum)| part(sum).as_secs_f64() / rounds);
            at_quantile(seconds, quantile)
        };
        Measured {
            subject: part(|round| round.subject),
            reference: part(|round| round.reference),
            excess: excess(&samples),
        }
    };
    let measured = at(0.1);
    let (least, median) = (measured.ratio(), at(0.5).ratio());
    println!("{name}: {least:.3} x the reference where least disturbed, {median:.3} x in the median sample");
    measured
}

/// The median of the differences, in seconds a round, of the fifth of the samples that took the least time.
fn excess(samples: &[(f64, Round)]) -> f64 {
    let mut samples: Vec<(f64, f64)> = samples
        .iter()
        .map(|(rounds, sum)| {
            let (subject, reference) = (sum.subject.as_secs_f64(), sum.reference.as_secs_f64());
            ((subject + reference) / rounds, (subject - reference) / rounds)
        })
        .collect();
    samples.sort_by(|a, b| a.0.total_cmp(&b.0));
    samples.truncate(samples.len().div_ceil(5));
    at_quantile(samples.into_iter().map(|(_, difference)| difference), 0.5)
}

/// The value that a share `quantile` of `values` does not exceed.
fn at_quantile(values: impl Iterator<Item = f64>, quantile: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let index = (values.len() as f64 * quantile) as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}
