//! candle: autograd over plain tensors, and its own SGD.

use std::time::Instant;

use candle_core::{D, Device, Tensor, Var};
use candle_nn::{Optimizer, SGD, loss, ops};
use serde_json::json;

use crate::case::{self, Case, Result, Trainer};

struct Candle {
    case: Case,
    x: Tensor,
    y: Tensor,
    order: Vec<Tensor>,
    parameters: Vec<Var>,
    optimizer: SGD,
}

pub fn serve(mut case: Case, began: Instant) -> Result<()> {
    let device = Device::Cpu;
    let (n_in, n_out) = (case.sizes[0], case.sizes[case.sizes.len() - 1]);
    let parameters = case
        .parts()
        .into_iter()
        .map(|(shape, part)| Var::from_slice(part, shape, &device))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let y = if case.squared_error {
        Tensor::from_vec(case.one_hot(), (case.rows, n_out), &device)?
    } else {
        Tensor::from_iter(case.y.iter().map(|&label| label as u32), &device)?
    };
    let x = Tensor::from_vec(std::mem::take(&mut case.x), (case.rows, n_in), &device)?;
    let order = case
        .order
        .chunks_exact(case.batch_size)
        .map(|rows| Tensor::from_iter(rows.iter().map(|&row| row as u32), &device))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let optimizer = SGD::new(parameters.clone(), case.learning_rate)?;
    let trainer = Candle { case, x, y, order, parameters, optimizer };
    case::serve(json!({ "candle": env!("CANDLE") }), trainer, began.elapsed().as_secs_f64())
}

impl Candle {
    fn step(&mut self, x: &Tensor, y: &Tensor) -> Result<()> {
        let mut a = x.clone();
        let last = self.parameters.len() - 2;
        for i in (0..=last).step_by(2) {
            let (weights, biases) = (&self.parameters[i], &self.parameters[i + 1]);
            let z = a.matmul(&weights.t()?)?.broadcast_add(biases)?;
            a = match self.case.activation.as_str() {
                _ if i == last => z,
                "sigmoid" => ops::sigmoid(&z)?,
                "tanh" => z.tanh()?,
                _ => z.relu()?,
            };
        }
        let loss = if self.case.squared_error {
            ops::sigmoid(&a)?.sub(y)?.sqr()?.sum(D::Minus1)?.mean_all()?
        } else {
            loss::cross_entropy(&a, y)?
        };
        Ok(self.optimizer.backward_step(&loss)?)
    }
}

impl Trainer for Candle {
    fn train(&mut self, steps: usize) -> Result<()> {
        for i in 0..steps {
            let (x, y) = if self.order.is_empty() {
                (self.x.clone(), self.y.clone())
            } else {
                (self.x.index_select(&self.order[i], 0)?, self.y.index_select(&self.order[i], 0)?)
            };
            self.step(&x, &y)?;
        }
        Ok(())
    }

    fn parameters(&self) -> Result<Vec<f32>> {
        let mut flat = Vec::new();
        for part in &self.parameters {
            flat.extend(part.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(flat)
    }
}
