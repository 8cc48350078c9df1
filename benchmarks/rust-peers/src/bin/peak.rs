//! The machine's peak: the best of many bursts of each form, or bursts as they are asked for.
//!
//!     peak             prints GFLOP/s as JSON: float32 and float64, one thread and two
//!     peak --serve     a line `isa dtype threads` is answered by the GFLOP/s of the moment

use std::io::{Write, stdin, stdout};

#[path = "../fma.rs"]
mod fma;

const BEST_OF: usize = 160;

fn serve() {
    let forms = fma::forms();
    for line in stdin().lines() {
        let line = line.expect("lines of text");
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[isa, dtype, threads] = &words[..] else { panic!("isa dtype threads; got {line}") };
        let form = forms.iter().find(|form| form.isa == isa && form.dtype == dtype);
        let form = form.unwrap_or_else(|| panic!("this processor has no {isa} in {dtype}"));
        let threads = threads.parse().expect("a number of threads");
        println!("{:.3}", fma::rate(form, threads, fma::AT_THE_MOMENT));
        stdout().flush().expect("someone listens");
    }
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("--serve") {
        return serve();
    }
    let lines: Vec<String> = fma::forms()
        .iter()
        .flat_map(|form| [1, 2].map(|threads| (form, threads)))
        .map(|(form, threads)| {
            let (isa, dtype, rate) = (form.isa, form.dtype, fma::rate(form, threads, BEST_OF));
            format!(r#"{{"isa": "{isa}", "dtype": "{dtype}", "threads": {threads}, "gflops": {rate:.1}}}"#)
        })
        .collect();
    println!("[{}]", lines.join(",\n "));
}
