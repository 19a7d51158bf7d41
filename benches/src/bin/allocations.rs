//! Counts allocations: see the library.
#![forbid(unsafe_code)]

fn main() {
    roomlet_bench::report_allocations(&|work| allocation_counter::measure(work).count_total);
}
