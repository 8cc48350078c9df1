//! The versions that were built, from the lock: CANDLE, BURN, FAER, GEMM.

use std::fs;

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = fs::read_to_string("Cargo.lock").expect("cargo writes it before it builds");
    for (name, package) in
        [("CANDLE", "candle-core"), ("BURN", "burn"), ("FAER", "faer"), ("GEMM", "gemm")]
    {
        let entry = format!("name = \"{package}\"\nversion = \"");
        let version = lock.split(&entry).nth(1).and_then(|rest| rest.split('"').next());
        println!("cargo::rustc-env={name}={}", version.unwrap_or("none"));
    }
}
