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
    /// The same, leaving out inputs that are 0: `first.rs`.
    LayeredSparse,
    /// Layer by layer, a few rows through a small network in lines: `online/batch.rs`.
    Few,
    /// The same, leaving out inputs that are 0.
    FewSparse,
    /// Row by row, each a step: `online.rs`.
    Online,
    /// The same, leaving out inputs that are 0.
    OnlineSparse,
}

impl Path {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Layered,
        Self::LayeredSparse,
        Self::Few,
        Self::FewSparse,
        Self::Online,
        Self::OnlineSparse,
    ];

    /// The name that `explain` gives.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Layered => "layered",
            Self::LayeredSparse => "layered sparse",
            Self::Few => "few rows",
            Self::FewSparse => "few rows sparse",
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

    /// That of a few rows in lines.
    const fn few(sparse: bool) -> Self {
        if sparse { Self::FewSparse } else { Self::Few }
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

    /// Whether a few rows at a time stay in lines.
    #[must_use]
    pub const fn is_few(self) -> bool {
        matches!(self, Self::Few | Self::FewSparse)
    }

    /// Whether inputs that are 0 are left out.
    #[must_use]
    pub const fn is_sparse(self) -> bool {
        matches!(self, Self::LayeredSparse | Self::FewSparse | Self::OnlineSparse)
    }

    /// The same where nothing is left out.
    const fn dense(self) -> Self {
        match self {
            Self::LayeredSparse => Self::Layered,
            Self::FewSparse => Self::Few,
            Self::OnlineSparse => Self::Online,
            path => path,
        }
    }
}

/// The online form, and that of a few rows, copy at most so many bytes.
pub const ONLINE_BYTES: usize = 10 << 20;

/// The online form pays where what a step meets of the copy has at most so many bytes, and of the layers behind
/// the first so many, whose weights it meets both ways round: farther from the core it is quicker to pass each
/// matrix as it lies.
const ONLINE_NEAR: (usize, usize) = (3 << 20, 1 << 20);

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
const QUICK_ROWS: usize = 1024;

/// Columns that are 0 are looked for where a first layer has at most so many outputs.
const LIT_OUTPUTS: usize = 64;

/// Lists pay where at most this share of the inputs is not zero.
const SPARSE: f64 = 0.5;

/// Of so many lines of outputs at most there is a form for a few rows that leaves out zeros.
pub const LIT_LINES: usize = 2;

/// Where a few rows had better stay in lines: products of more are worth packing, and larger matrices are
/// passed as they lie.
struct Limits {
    /// So many rows at most.
    rows: usize,
    /// The first layer's outputs fill at most so many bytes.
    outputs: usize,
    /// And so many parameters there are at most behind it.
    behind: usize,
}

const FEW_DENSE: Limits = Limits { rows: 8, outputs: 1024, behind: 1 << 17 };

const FEW_SPARSE: Limits = Limits { rows: 15, outputs: 128, behind: 1 << 12 };

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
            path if path.is_sparse() && !data.list(self.isa) => {
                self.forced.map_or_else(|| best(network, data, velocity), Path::dense)
            }
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
pub(crate) fn quick<T: Real>(
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
    rows <= QUICK_ROWS && rows.saturating_mul(network.n_parameters()) <= most
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
            Self::Few => data.batch_size() <= BLOCK,
            Self::FewSparse => {
                data.batch_size() <= BLOCK && lines(network.layers()[0].n_out) <= LIT_LINES
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

/// What these forms copy, in bytes: the first layer's weights, and those behind it both ways round.
fn copied<T: Real>(network: &Network<T>, velocity: bool) -> [usize; 2] {
    let layers = network.layers();
    let first = (layers[0].n_in + 1) * lines(layers[0].n_out) * LINE;
    let transposed = layers[1..].iter().map(|layer| layer.n_out * lines(layer.n_in) * LINE);
    let behind = in_lines(network) - first + transposed.sum::<usize>();
    [first, behind].map(|elements| elements * (1 + usize::from(velocity)) * size_of::<T>())
}

/// The same in all.
fn online_bytes<T: Real>(network: &Network<T>, velocity: bool) -> usize {
    copied(network, velocity).iter().sum()
}

/// Whether rows had better be steps by themselves, where such a share of the inputs is met.
fn online_pays<T: Real>(network: &Network<T>, share: f64, velocity: bool) -> bool {
    let [first, behind] = copied(network, velocity);
    #[expect(clippy::cast_precision_loss, reason = "about so many bytes")]
    let [met, near] = [first as f64 * share + behind as f64, ONLINE_NEAR.0 as f64];
    met <= near && behind <= ONLINE_NEAR.1
}

/// Whether batches of so many rows had better stay in lines.
fn few_pay<T: Real>(network: &Network<T>, rows: usize, sparse: bool, velocity: bool) -> bool {
    let limits = if sparse { FEW_SPARSE } else { FEW_DENSE };
    let first = &network.layers()[0];
    // A row alone has a form of its own, or weights that are too far from the core to be met in lines.
    (2..=limits.rows).contains(&rows)
        && lines(first.n_out) * LINE * size_of::<T>() <= limits.outputs
        && online_bytes(network, velocity) <= ONLINE_BYTES
        && network.n_parameters() - first.biases().end <= limits.behind
}

/// The fastest path.
fn best<T: Real>(network: &Network<T>, data: &mut Dataset<T>, velocity: bool) -> Path {
    let share = data.lit_share();
    let sparse = share <= SPARSE;
    let met = if sparse { share } else { 1.0 };
    if Path::Online.can(network, data, velocity) && online_pays(network, met, velocity) {
        Path::online(sparse)
    } else if few_pay(network, data.batch_size(), sparse, velocity) {
        Path::few(sparse)
    } else {
        Path::layered(sparse)
    }
}

#[cfg(test)]
mod tests {
    use super::{ONLINE_BYTES, Path, Plan, few_pay, online_bytes, online_pays};
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
    fn the_online_form_copies_what_may_stay_in_a_cache() {
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
    fn what_is_far_from_the_core_is_passed_as_it_lies() {
        fn pays<T: Real>(sizes: &[usize], share: f64, velocity: bool) -> bool {
            let activations = vec![Activation::Sigmoid; sizes.len() - 1];
            let network = Network::<T>::new(sizes, &activations, Loss::SquaredError).unwrap();
            online_pays(&network, share, velocity)
        }
        for (sizes, share, expected) in [
            (&[784, 352, 352, 10][..], 1.0, [true, false]),
            (&[784, 352, 352, 10], 0.2, [true, false]),
            (&[784, 368, 368, 10], 0.2, [false, false]),
            (&[784, 880, 10], 1.0, [true, false]),
            (&[784, 1008, 10], 1.0, [false, false]),
            (&[784, 1008, 10], 0.2, [true, true]),
        ] {
            let found = [pays::<f32>(sizes, share, false), pays::<f64>(sizes, share, false)];
            assert_eq!(found, expected, "{sizes:?} {share}");
            // A velocity is as much again.
            assert_eq!(pays::<f32>(sizes, share, true), found[1], "{sizes:?} {share}");
        }
    }

    #[test]
    fn a_few_rows_through_small_layers_stay_in_lines() {
        fn pays<T: Real>(sizes: &[usize], rows: usize, sparse: bool) -> bool {
            let activations = vec![Activation::Sigmoid; sizes.len() - 1];
            let network = Network::<T>::new(sizes, &activations, Loss::SquaredError).unwrap();
            few_pay(&network, rows, sparse, false)
        }
        for (sizes, rows, sparse, dense) in [
            (&[784, 30, 10][..], 10, [true, false], [false, false]),
            (&[784, 32, 10], 15, [true, false], [false, false]),
            (&[784, 16, 10], 15, [true, true], [false, false]),
            (&[784, 16, 10], 16, [false, false], [false, false]),
            (&[784, 33, 10], 8, [false, false], [true, true]),
            (&[784, 256, 10], 8, [false, false], [true, false]),
            (&[784, 257, 10], 8, [false, false], [false, false]),
            (&[784, 10], 2, [true, true], [true, true]),
            (&[784, 16, 500, 10], 2, [false, false], [true, true]),
            (&[784, 16, 500, 500, 10], 2, [false, false], [false, false]),
            (&[100_000, 10], 2, [true, false], [true, false]),
        ] {
            for (sparse, expected) in [(true, sparse), (false, dense)] {
                let found = [pays::<f32>(sizes, rows, sparse), pays::<f64>(sizes, rows, sparse)];
                assert_eq!(found, expected, "{sizes:?} {rows} {sparse}");
            }
        }
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
