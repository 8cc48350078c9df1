//! XOR, which no single layer can learn: `cargo run --example xor`.

use chainrule::activation::Activation;
use chainrule::data::{Answers, Dataset, Inputs};
use chainrule::error::Error;
use chainrule::init::Initialization;
use chainrule::loss::Loss;
use chainrule::network::Network;
use chainrule::optimizer::Optimizer;
use chainrule::plan::Plan;
use chainrule::train::{Steps, Totals, Trainer};

fn main() -> Result<(), Error> {
    let activations = [Activation::Tanh, Activation::Sigmoid];
    let network = Network::<f32>::new(&[2, 8, 1], &activations, Loss::SquaredError)?;
    let mut trainer = Trainer::new(network, Plan::new(None)?);
    trainer.initialize(1, &[Initialization::GlorotUniform; 2])?;

    let rows = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    let targets = [0.0, 1.0, 1.0, 0.0];
    let x = Inputs::Values(rows.concat());
    let y = Answers::Targets(targets.to_vec());
    let mut data = Dataset::new(x.clone(), y, 4, (2, 1), 1, Some(1))?;
    for epoch in 0..500 {
        let steps = Steps { epoch, first: 0, rates: &[0.1; 4], optimizer: Optimizer::sgd() };
        let outcome = trainer.train(&mut data, &steps, Totals::default())?;
        if epoch % 100 == 0 || epoch == 499 {
            println!("epoch {:3}: squared error {:.4}", epoch + 1, outcome.totals.loss / 4.0);
        }
    }
    for ((row, target), output) in rows.iter().zip(targets).zip(trainer.predict(&x, 4)?) {
        println!("{} xor {} = {output:.3}, expected {target}", row[0], row[1]);
    }
    Ok(())
}
