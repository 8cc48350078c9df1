//! burn: autodiff over its CPU backend, flex.

use std::time::Instant;

use burn::tensor::activation::{log_softmax, relu, sigmoid, tanh};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::json;

use crate::case::{self, Case, Result, Trainer};

struct Burn {
    case: Case,
    x: Tensor<2>,
    /// Rows of 0 and 1: cross-entropy by them is as quick as by labels, and simpler.
    targets: Tensor<2>,
    order: Vec<Tensor<1, Int>>,
    weights: Vec<Tensor<2>>,
    biases: Vec<Tensor<1>>,
}

pub fn serve(mut case: Case, began: Instant) -> Result<()> {
    let device = Device::flex();
    let learning = device.clone().autodiff();
    let (n_in, n_out) = (case.sizes[0], case.sizes[case.sizes.len() - 1]);
    let (mut weights, mut biases) = (Vec::new(), Vec::new());
    for (shape, part) in case.parts() {
        let data = TensorData::new(part.to_vec(), shape.clone());
        if shape.len() == 2 {
            weights.push(Tensor::<2>::from_data(data, &learning));
        } else {
            biases.push(Tensor::<1>::from_data(data, &learning));
        }
    }
    let targets = TensorData::new(case.one_hot(), [case.rows, n_out]);
    let x = TensorData::new(std::mem::take(&mut case.x), [case.rows, n_in]);
    let order = case
        .order
        .chunks_exact(case.batch_size)
        .map(|rows| Tensor::from_data(TensorData::new(rows.to_vec(), [rows.len()]), &device))
        .collect();
    let trainer = Burn {
        x: Tensor::from_data(x, &device),
        targets: Tensor::from_data(targets, &device),
        order,
        weights,
        biases,
        case,
    };
    case::serve(json!({ "burn": env!("BURN") }), trainer, began.elapsed().as_secs_f64())
}

impl Burn {
    fn step(&mut self, x: Tensor<2>, targets: Tensor<2>) {
        let n = self.case.batch_size as f32;
        let weights: Vec<_> = self.weights.drain(..).map(|w| w.require_grad()).collect();
        let biases: Vec<_> = self.biases.drain(..).map(|b| b.require_grad()).collect();
        let mut a = x.autodiff();
        let last = weights.len() - 1;
        for (i, (w, b)) in weights.iter().zip(&biases).enumerate() {
            let z = a.matmul(w.clone().transpose()) + b.clone().unsqueeze();
            a = match self.case.activation.as_str() {
                _ if i == last => z,
                "sigmoid" => sigmoid(z),
                "tanh" => tanh(z),
                _ => relu(z),
            };
        }
        let targets = targets.autodiff();
        let loss = if self.case.squared_error {
            (sigmoid(a) - targets).square().sum() / n
        } else {
            (log_softmax(a, 1) * targets).sum() / -n
        };
        let gradients = loss.backward();
        let rate = self.case.learning_rate as f32;
        for w in weights {
            let g = w.grad(&gradients).expect("each weight has a gradient");
            self.weights.push((w.inner() - g * rate).autodiff());
        }
        for b in biases {
            let g = b.grad(&gradients).expect("each bias has a gradient");
            self.biases.push((b.inner() - g * rate).autodiff());
        }
    }
}

impl Trainer for Burn {
    fn train(&mut self, steps: usize) -> Result<()> {
        for i in 0..steps {
            let (x, targets) = (self.x.clone(), self.targets.clone());
            if self.order.is_empty() {
                self.step(x, targets);
            } else {
                let rows = self.order[i].clone();
                self.step(x.select(0, rows.clone()), targets.select(0, rows));
            }
        }
        Ok(())
    }

    fn parameters(&self) -> Result<Vec<f32>> {
        let mut flat = Vec::new();
        for (w, b) in self.weights.iter().zip(&self.biases) {
            flat.extend(w.clone().into_data().try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?);
            flat.extend(b.clone().into_data().try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?);
        }
        Ok(flat)
    }
}
