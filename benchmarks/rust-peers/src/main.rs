//! The Rust crates that train, as peers: `rust-peers candle FOLDER`, `rust-peers burn FOLDER`.
//!
//! `benchmarks/run.py` starts one for each work and speaks to it as `worker.py` is spoken to.

#[cfg(feature = "burn")]
mod burn_peer;
#[cfg(feature = "candle")]
mod candle_peer;
mod case;

use std::env::args;
use std::path::Path;
use std::time::Instant;

use case::{Case, Result};

fn main() -> Result<()> {
    let arguments: Vec<String> = args().skip(1).collect();
    let [peer, folder] = &arguments[..] else {
        return Err("usage: rust-peers (candle | burn) FOLDER".into());
    };
    let began = Instant::now();
    let case = Case::read(Path::new(folder))?;
    match peer.as_str() {
        #[cfg(feature = "candle")]
        "candle" => candle_peer::serve(case, began),
        #[cfg(feature = "burn")]
        "burn" => burn_peer::serve(case, began),
        _ => Err(format!("built without the peer {peer}").into()),
    }
}
