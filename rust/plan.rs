//! The one place that decides how the work is done, and says what it has decided.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::data::Dataset;
use crate::error::Error;
use crate::kernels::gemm::BLOCK;
use crate::kernels::lines::{LINE, lines};
use crate::kernels::{Isa, Real};
use crate::network::Network;

/// How the work is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// The instruction set of the kernels.
    pub isa: Isa,
    /// How many threads share the work.
    pub threads: usize,
    /// Which telling of the algorithm ran last, or would run. A prediction is of a lone row, as online
    /// training is, or of rows in layers.
    pub path: Path,
    /// The path that training takes wherever it can, for tests and measurements; it then takes the
    /// layered one where it cannot.
    pub forced: Option<Path>,
}

/// A telling of the algorithm; all give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// Layer by layer, as `train.rs` tells it.
    Layered,
    /// The same, leaving out inputs that are 0: `first.rs`; of a few rows `online/batch.rs`.
    LayeredSparse,
    /// Row by row, each a step: `online.rs`.
    Online,
    /// The same, leaving out inputs that are 0.
    OnlineSparse,
}

impl Path {
    /// All there are.
    pub const ALL: [Self; 4] =
        [Self::Layered, Self::LayeredSparse, Self::Online, Self::OnlineSparse];

    /// The name that `explain` gives.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Layered => "layered",
            Self::LayeredSparse => "layered sparse",
            Self::Online => "online",
            Self::OnlineSparse => "online sparse",
        }
    }

    /// The one of a name.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub fn named(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|each| each.name() == name);
        found.ok_or_else(|| Error::unknown_name("path", name, &Self::ALL.map(Self::name)))
    }

    /// That of rows in layers, where inputs that are 0 are left out or not.
    pub(crate) const fn layered(sparse: bool) -> Self {
        if sparse { Self::LayeredSparse } else { Self::Layered }
    }

    /// That of one row after another.
    pub(crate) const fn online(sparse: bool) -> Self {
        if sparse { Self::OnlineSparse } else { Self::Online }
    }

    /// Whether each row by itself is a step.
    #[must_use]
    pub const fn is_online(self) -> bool {
        matches!(self, Self::Online | Self::OnlineSparse)
    }

    /// Whether inputs that are 0 are left out.
    #[must_use]
    pub const fn is_sparse(self) -> bool {
        matches!(self, Self::LayeredSparse | Self::OnlineSparse)
    }
}

/// The online form is for networks whose copy has at most so many bytes: it stays in a core's own
/// cache, or near it.
pub const ONLINE_BYTES: usize = 10 << 20;

/// A network of at most so many parameters is small: its weights stay near each worker.
const SMALL: usize = 1 << 20;

/// A prediction of a small network is shared by rows, some at a time: a worker takes them through all
/// layers. So many where the weights stay in its second cache.
pub const APART_ROWS: usize = 64;

/// They do where there are at most so many. Others come from afar for each tile, which then has as
/// many rows as a block.
const CACHED: usize = 1 << 17;

/// So many multiplications make it worth while to call workers for a prediction.
const SHARED: usize = 1 << 19;

/// So many elements, in lines, a lone row meets while the interpreter waits.
#[cfg(feature = "python")]
const QUICK: usize = 1 << 20;

/// So many rows are few at most: their outputs have room that is kept, and each has its cost however
/// small the network is.
#[cfg(feature = "python")]
const FEW: usize = 1024;

/// Columns that are 0 are looked for where a first layer has at most so many outputs.
const LIT_OUTPUTS: usize = 64;

/// Lists pay where at most this share of the inputs is not zero.
const SPARSE: f64 = 0.5;

impl Plan {
    /// Decides: the instruction set named, else the widest there is; one thread, layer by layer.
    ///
    /// # Errors
    /// [`Error::UnknownName`] where this processor has no such instruction set.
    pub fn new(isa: Option<&str>) -> Result<Self, Error> {
        let isa = isa.map_or_else(|| Ok(Isa::detect()), Isa::named)?;
        Ok(Self { isa, threads: 1, path: Path::Layered, forced: None })
    }

    /// Decides how to train, and has the lists made that this needs.
    ///
    /// What it needs to know of a dataset is looked for once, so that the answer stays the same
    /// through a fit. A velocity is one value more for each parameter.
    pub fn decide<T: Real>(&mut self, network: &Network<T>, data: &mut Dataset<T>, velocity: bool) {
        let wanted = self.forced.unwrap_or_else(|| best(network, data, velocity));
        self.path = match wanted {
            _ if !wanted.can(network, data, velocity) => Path::Layered,
            Path::OnlineSparse if !data.list(self.isa) => Path::Online,
            Path::LayeredSparse if !data.list(self.isa) => Path::Layered,
            path => path,
        };
    }
}

const _: () = {
    let mut i = 0;
    while i < Path::ALL.len() {
        assert!(Path::ALL[i] as usize == i, "a path is its place among all");
        i += 1;
    }
};

/// What ran last: predictions of several threads may tell it.
#[derive(Debug)]
pub(crate) struct Told {
    threads: AtomicUsize,
    path: AtomicU8,
}

impl Told {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self { threads: AtomicUsize::new(1), path: AtomicU8::new(Path::Layered as u8) }
    }

    /// So many threads did something, on this path if it has one.
    pub(crate) fn tell(&self, threads: usize, path: Option<Path>) {
        self.threads.store(threads, Ordering::Relaxed);
        if let Some(path) = path {
            self.path.store(path as u8, Ordering::Relaxed);
        }
    }

    /// A plan with what ran last.
    pub(crate) fn of(&self, plan: Plan) -> Plan {
        let path = Path::ALL[usize::from(self.path.load(Ordering::Relaxed))];
        Plan { threads: self.threads.load(Ordering::Relaxed), path, ..plan }
    }
}

/// How many of the workers that are allowed are called for a prediction.
pub(crate) fn helpers<T: Real>(network: &Network<T>, rows: usize, allowed: usize) -> usize {
    if rows.saturating_mul(network.n_parameters()) < SHARED { 1 } else { allowed }
}

/// How many rows of a prediction a worker takes at a time through all layers; none where workers
/// had better share each product.
pub(crate) fn apart<T: Real>(network: &Network<T>, rows: usize, workers: usize) -> Option<usize> {
    let chunks = rows.div_ceil(apart_rows(network)).max(1).next_multiple_of(workers);
    let each = rows.div_ceil(chunks).max(1).next_multiple_of(8);
    (small(network) && (2 * each >= APART_ROWS || lit(network))).then_some(each)
}

/// How many rows it takes at most.
pub(crate) fn apart_rows<T: Real>(network: &Network<T>) -> usize {
    if network.n_parameters() <= CACHED { APART_ROWS } else { BLOCK }
}

/// Whether a prediction is over so soon, in some ten microseconds or, of a lone row or where the
/// threads that may help are told, in some hundred, that its inputs are taken as they come. Weights
/// that have to be packed first take as long sooner.
#[cfg(feature = "python")]
pub(crate) fn few<T: Real>(
    network: &Network<T>,
    rows: usize,
    ready: bool,
    threads: Option<usize>,
) -> bool {
    let most = match threads {
        _ if rows <= 1 => return ready || in_lines(network) <= QUICK,
        _ if !ready && !lit(network) => 1 << 17,
        None => SHARED - 1,
        Some(threads) => SHARED << 4 << usize::from(threads > 1),
    };
    rows <= FEW && rows.saturating_mul(network.n_parameters()) <= most
}

/// Whether a prediction that workers share by rows leaves out columns of inputs that are 0 in a
/// tile: where the weights of an input are few, looking for them costs little.
pub(crate) fn lit<T: Real>(network: &Network<T>) -> bool {
    network.layers().len() > 1 && network.layers()[0].n_out <= LIT_OUTPUTS
}

impl Path {
    /// Whether a network can be trained so.
    fn can<T: Real>(self, network: &Network<T>, data: &Dataset<T>, velocity: bool) -> bool {
        match self {
            Self::Layered | Self::LayeredSparse => true,
            Self::Online | Self::OnlineSparse => {
                data.batch_size() == 1 && online_bytes(network, velocity) <= ONLINE_BYTES
            }
        }
    }
}

/// Whether the parameters stay near the core.
pub(crate) fn small<T: Real>(network: &Network<T>) -> bool {
    network.n_parameters() <= SMALL
}

/// The elements of all parameters in lines, which are filled up to whole ones: of a layer of one
/// output that is sixteen times what it has.
pub(crate) fn in_lines<T: Real>(network: &Network<T>) -> usize {
    network.layers().iter().map(|layer| (layer.n_in + 1) * lines(layer.n_out) * LINE).sum()
}

/// What the online form copies: the weights, those behind the first layer both ways round.
fn online_bytes<T: Real>(network: &Network<T>, velocity: bool) -> usize {
    let behind = network.layers()[1..].iter();
    let transposed: usize = behind.map(|layer| layer.n_out * lines(layer.n_in) * LINE).sum();
    (in_lines(network) + transposed) * (1 + usize::from(velocity)) * size_of::<T>()
}

/// The fastest path.
fn best<T: Real>(network: &Network<T>, data: &mut Dataset<T>, velocity: bool) -> Path {
    if Path::Online.can(network, data, velocity) {
        return if data.lit_share() <= SPARSE { Path::OnlineSparse } else { Path::Online };
    }
    if data.lit_share() <= SPARSE { Path::LayeredSparse } else { Path::Layered }
}

#[cfg(test)]
mod tests {
    use super::{ONLINE_BYTES, Path, Plan, online_bytes};
    use crate::activation::Activation;
    use crate::kernels::{Isa, Real};
    use crate::loss::Loss;
    use crate::network::Network;

    fn fits<T: Real>(sizes: &[usize], velocity: bool) -> bool {
        let activations = vec![Activation::Sigmoid; sizes.len() - 1];
        let network = Network::<T>::new(sizes, &activations, Loss::SquaredError).unwrap();
        online_bytes(&network, velocity) <= ONLINE_BYTES
    }

    #[test]
    fn the_online_form_is_for_what_stays_in_a_cache() {
        assert_eq!([false, true].map(|v| fits::<f32>(&[784, 600, 600, 10], v)), [true, true]);
        assert_eq!([false, true].map(|v| fits::<f32>(&[784, 700, 700, 10], v)), [true, false]);
        assert_eq!([false, true].map(|v| fits::<f64>(&[784, 600, 600, 10], v)), [true, false]);
        assert!(
            !fits::<f32>(&[784, 1024, 1024, 10], false) && fits::<f32>(&[784, 3000, 10], false)
        );
        // A line an input, whatever is in it.
        assert!(!fits::<f32>(&[200_000, 1], false) && fits::<f32>(&[150_000, 16], false));
    }

    #[test]
    fn a_named_instruction_set_is_taken_or_refused() {
        for isa in Isa::available() {
            let plan = Plan::new(Some(isa.name())).unwrap();
            assert_eq!((plan.isa, plan.threads, plan.path), (isa, 1, Path::Layered));
        }
        assert_eq!(Plan::new(None).unwrap().isa, Isa::detect());
        let message = Plan::new(Some("mmx")).unwrap_err().to_string();
        assert!(message.starts_with("expected isa to be one of portable"), "{message}");
    }

    #[test]
    fn names_lead_back() {
        for each in Path::ALL {
            assert_eq!(Path::named(each.name()), Ok(each));
        }
        assert!(Path::named("dense").is_err());
    }
}
