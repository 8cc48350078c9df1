//! A network: its description and one flat vector of parameters.

use crate::activation::Activation;
use crate::error::Error;
use crate::init::Initialization;
use crate::kernels::memory::zeros;
use crate::kernels::{Isa, Real, elementwise, fpu};
use crate::layer::Layer;
use crate::loss::Loss;
use crate::matrix::transpose;

/// How many parameters a network may have: places in it fit into 31 bits.
pub const MAX_PARAMETERS: usize = (1 << 31) - 1;

/// Layers, loss and parameters.
///
/// The vector holds, layer by layer, the weights input-major (n_in, n_out), then the biases.
/// Outside of the crate the *flat order* counts: the weights row by row, (n_out, n_in), then the
/// biases; [`Network::flat`] and [`Network::set_flat`] convert.
#[derive(Clone, Debug, PartialEq)]
pub struct Network<T> {
    layers: Vec<Layer>,
    loss: Loss,
    parameters: Vec<T>,
}

impl<T: Real> Network<T> {
    /// A network whose parameters are 0: `sizes` from input to output, an activation a layer.
    ///
    /// # Errors
    /// Where the sizes, the activations and the loss do not make a network, or do not fit into
    /// memory.
    pub fn new(sizes: &[usize], activations: &[Activation], loss: Loss) -> Result<Self, Error> {
        if sizes.len() < 2 {
            return Err(Error::TooFewSizes { found: sizes.len() });
        }
        if let Some(index) = sizes.iter().position(|&size| size == 0) {
            return Err(Error::ZeroSize { index });
        }
        let (what, expected) = ("activations, one a layer", sizes.len() - 1);
        if activations.len() != expected {
            return Err(Error::Length { what, expected, found: activations.len() });
        }
        let mut layers = Vec::with_capacity(activations.len());
        let mut count = 0;
        for (layer, (size, &activation)) in sizes.windows(2).zip(activations).enumerate() {
            if activation == Activation::Softmax && layer + 1 < activations.len() {
                return Err(Error::HiddenSoftmax { layer });
            }
            let (n_in, n_out) = (size[0], size[1]);
            layers.push(Layer::new(n_in, n_out, activation, count));
            count = n_in
                .checked_add(1)
                .and_then(|inputs| inputs.checked_mul(n_out))
                .and_then(|more| more.checked_add(count))
                .filter(|&count| count <= MAX_PARAMETERS)
                .ok_or(Error::TooManyParameters)?;
        }
        loss.check_output(activations[expected - 1])?;
        Ok(Self { layers, loss, parameters: zeros(count)? })
    }

    /// The layers, the first behind the input.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The loss.
    #[must_use]
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// How many inputs.
    #[must_use]
    pub fn n_in(&self) -> usize {
        self.layers[0].n_in
    }

    /// How many outputs.
    #[must_use]
    pub fn n_out(&self) -> usize {
        self.output().n_out
    }

    /// How many parameters.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.parameters.len()
    }

    /// The parameters in the internal order.
    #[must_use]
    pub fn parameters(&self) -> &[T] {
        &self.parameters
    }

    /// The layers, and the parameters in the internal order to write.
    pub(crate) fn parts(&mut self) -> (&[Layer], &mut [T]) {
        (&self.layers, &mut self.parameters)
    }

    /// The last layer.
    pub(crate) fn output(&self) -> &Layer {
        &self.layers[self.layers.len() - 1]
    }

    /// Draws new weights, a scheme a layer, and sets the biases to 0.
    ///
    /// # Errors
    /// [`Error::Length`] where there is not one scheme a layer.
    pub fn initialize(&mut self, seed: u64, schemes: &[Initialization]) -> Result<(), Error> {
        let (what, expected) = ("initializations, one a layer", self.layers.len());
        if schemes.len() != expected {
            return Err(Error::Length { what, expected, found: schemes.len() });
        }
        fpu::exact(|| {
            for (l, (layer, scheme)) in self.layers.iter().zip(schemes).enumerate() {
                let (n_in, n_out) = (layer.n_in, layer.n_out);
                let weights = &mut self.parameters[layer.weights()];
                for (at, weight) in scheme.draw(seed, l, n_in, n_out).enumerate() {
                    weights[at % n_in * n_out + at / n_in] = weight;
                }
                self.parameters[layer.biases()].fill(T::ZERO);
            }
        });
        Ok(())
    }

    /// The parameters in flat order.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn flat(&self) -> Result<Vec<T>, Error> {
        self.flat_order(&self.parameters)
    }

    /// Takes over parameters in flat order.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`] or [`Error::OutOfMemory`]; then nothing changes.
    pub fn set_flat(&mut self, flat: &[T]) -> Result<(), Error> {
        self.parameters = self.internal_order("parameters", flat)?;
        Ok(())
    }

    /// Any vector as long as the parameters, from the internal order to the flat one.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn flat_order(&self, vector: &[T]) -> Result<Vec<T>, Error> {
        let mut flat = zeros(vector.len())?;
        for layer in &self.layers {
            let weights = layer.weights();
            let to = &mut flat[weights.clone()];
            transpose(&vector[weights], layer.n_in, layer.n_out, to);
            flat[layer.biases()].copy_from_slice(&vector[layer.biases()]);
        }
        Ok(flat)
    }

    /// Any vector as long as the parameters, from the flat order to the internal one; checked.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NotFinite`] or [`Error::OutOfMemory`].
    pub fn internal_order(&self, what: &'static str, flat: &[T]) -> Result<Vec<T>, Error> {
        let expected = self.n_parameters();
        if flat.len() != expected {
            return Err(Error::Length { what, expected, found: flat.len() });
        }
        check_finite(what, flat)?;
        let mut vector = zeros(expected)?;
        for layer in &self.layers {
            let weights = layer.weights();
            let to = &mut vector[weights.clone()];
            transpose(&flat[weights], layer.n_out, layer.n_in, to);
            vector[layer.biases()].copy_from_slice(&flat[layer.biases()]);
        }
        Ok(vector)
    }
}

/// Checks that every element is finite.
///
/// # Errors
/// [`Error::NotFinite`] names the first that is not.
pub(crate) fn check_finite<T: Real>(what: &'static str, values: &[T]) -> Result<(), Error> {
    if elementwise::all_finite(Isa::detect(), values) {
        return Ok(());
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(Error::NotFinite { what, index }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PARAMETERS, Network};
    use crate::activation::Activation::{self, Relu, Sigmoid, Softmax};
    use crate::error::Error;
    use crate::init::Initialization;
    use crate::loss::Loss;

    fn new(sizes: &[usize], activations: &[Activation]) -> Result<Network<f32>, Error> {
        Network::new(sizes, activations, Loss::SquaredError)
    }

    #[test]
    fn parameters_are_counted_as_the_report_counts_them() {
        let network = new(&[784, 16, 16, 10], &[Sigmoid; 3]).unwrap();
        assert_eq!(network.n_parameters(), 12_960 + 42); // Eq. 8
        assert_eq!((network.n_in(), network.n_out(), network.layers().len()), (784, 10, 3));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let refused = |sizes: &[usize], activations: &[Activation]| {
            new(sizes, activations).map(|network| network.n_parameters()).unwrap_err()
        };
        assert_eq!(refused(&[], &[]), Error::TooFewSizes { found: 0 });
        assert_eq!(refused(&[784], &[]), Error::TooFewSizes { found: 1 });
        assert_eq!(refused(&[4, 0, 2], &[Relu; 2]), Error::ZeroSize { index: 1 });
        assert!(matches!(refused(&[4, 2], &[]), Error::Length { expected: 1, found: 0, .. }));
        assert_eq!(refused(&[4, 2, 2], &[Softmax; 2]), Error::HiddenSoftmax { layer: 0 });
        for sizes in [[MAX_PARAMETERS, 1], [1 << 40, 1 << 40], [usize::MAX, 1], [1, usize::MAX]] {
            assert_eq!(refused(&sizes, &[Relu]), Error::TooManyParameters, "{sizes:?}");
        }
        let refused = Network::<f32>::new(&[2, 2], &[Relu], Loss::CrossEntropy);
        assert!(matches!(refused, Err(Error::LossNeeds { .. })));
    }

    #[test]
    fn ten_thousand_layers_are_a_network() {
        assert_eq!(new(&vec![1; 10_001], &vec![Relu; 10_000]).unwrap().n_parameters(), 20_000);
    }

    #[test]
    fn the_flat_order_is_row_by_row_and_leads_back() {
        let mut network = new(&[2, 3, 1], &[Relu; 2]).unwrap();
        let flat: Vec<f32> = (0..13_u8).map(f32::from).collect();
        network.set_flat(&flat).unwrap();
        // W (3, 2) = [[0, 1], [2, 3], [4, 5]], input-major (2, 3); then b; then the next layer.
        let internal = [0.0, 2.0, 4.0, 1.0, 3.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0];
        assert_eq!(network.parameters(), internal);
        assert_eq!(network.flat().unwrap(), flat);
    }

    #[test]
    fn refused_parameters_change_nothing() {
        let mut network = new(&[2, 1], &[Relu]).unwrap();
        network.set_flat(&[1.0, 2.0, 3.0]).unwrap();
        let (what, expected) = ("parameters", 3);
        let refused = network.set_flat(&[1.0; 4]);
        assert_eq!(refused, Err(Error::Length { what, expected, found: 4 }));
        let refused = network.set_flat(&[9.0, 9.0, f32::NAN]);
        assert_eq!(refused, Err(Error::NotFinite { what, index: 2 }));
        assert_eq!(network.flat().unwrap(), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn weights_are_drawn_row_by_row() {
        let mut network = new(&[4, 3, 2], &[Relu; 2]).unwrap();
        network.set_flat(&[5.0; 23]).unwrap();
        let schemes = [Initialization::HeUniform, Initialization::GlorotUniform];
        network.initialize(9, &schemes).unwrap();
        let mut expected: Vec<f32> = schemes[0].draw(9, 0, 4, 3).collect();
        expected.extend([0.0; 3]);
        expected.extend(schemes[1].draw::<f32>(9, 1, 3, 2));
        expected.extend([0.0; 2]);
        assert_eq!(network.flat().unwrap(), expected);
        assert!(matches!(network.initialize(9, &schemes[..1]), Err(Error::Length { .. })));
    }
}
