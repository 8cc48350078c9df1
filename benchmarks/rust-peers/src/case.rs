//! A work and its arrays, as `run.py` writes them, and the lines it speaks.

use std::error::Error;
use std::fs;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;

use serde_json::{Value, json};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub struct Case {
    pub sizes: Vec<usize>,
    pub activation: String,
    pub squared_error: bool,
    pub rows: usize,
    pub batch_size: usize,
    pub learning_rate: f64,
    /// (rows, n_in)
    pub x: Vec<f32>,
    /// (rows,)
    pub y: Vec<i64>,
    /// (steps, batch_size); empty where each step takes all rows
    pub order: Vec<i64>,
    /// W (n_out, n_in) row by row, b, of each layer
    pub initial: Vec<f32>,
}

impl Case {
    pub fn read(folder: &Path) -> Result<Self> {
        let work: Value = serde_json::from_str(&fs::read_to_string(folder.join("work.json"))?)?;
        let count = |name: &str| work[name].as_u64().map(|n| n as usize).ok_or(name.to_owned());
        let sizes = work["sizes"].as_array().ok_or("sizes")?;
        Ok(Self {
            sizes: sizes.iter().filter_map(|n| n.as_u64()).map(|n| n as usize).collect(),
            activation: work["activation"].as_str().ok_or("activation")?.to_owned(),
            squared_error: work["loss"] == "squared_error",
            rows: count("rows")?,
            batch_size: count("batch_size")?,
            learning_rate: work["learning_rate"].as_f64().ok_or("learning_rate")?,
            x: array(&folder.join("x.npy"), f32::from_le_bytes)?,
            y: array(&folder.join("y.npy"), i64::from_le_bytes)?,
            order: array(&folder.join("order.npy"), i64::from_le_bytes)?,
            initial: array(&folder.join("initial.npy"), f32::from_le_bytes)?,
        })
    }

    /// Shape and numbers of each tensor: (n_out, n_in) of W and (n_out) of b, layer by layer.
    pub fn parts(&self) -> Vec<(Vec<usize>, &[f32])> {
        let (mut parts, mut rest) = (Vec::new(), &self.initial[..]);
        for pair in self.sizes.windows(2) {
            for shape in [vec![pair[1], pair[0]], vec![pair[1]]] {
                let (part, after) = rest.split_at(shape.iter().product());
                parts.push((shape, part));
                rest = after;
            }
        }
        parts
    }

    /// Rows of 0 and 1, (rows, n_out).
    pub fn one_hot(&self) -> Vec<f32> {
        let n_out = self.sizes[self.sizes.len() - 1];
        let mut targets = vec![0.0; self.rows * n_out];
        for (i, &label) in self.y.iter().enumerate() {
            targets[i * n_out + label as usize] = 1.0;
        }
        targets
    }
}

/// The numbers of an array in NumPy's format, version 1: ten bytes, a header, the numbers.
fn array<T, const N: usize>(path: &Path, number: fn([u8; N]) -> T) -> Result<Vec<T>> {
    let bytes = fs::read(path)?;
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    Ok(bytes[start..].as_chunks().0.iter().map(|&chunk| number(chunk)).collect())
}

/// Writes numbers (n,) in the same format.
fn save(path: &str, numbers: &[f32]) -> Result<()> {
    let header = format!(
        "{:<117}\n",
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", numbers.len())
    );
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    Ok(fs::write(path, bytes)?)
}

pub trait Trainer {
    /// Takes the first steps of the order.
    fn train(&mut self, steps: usize) -> Result<()>;
    /// All parameters, in the order of [`Case::initial`].
    fn parameters(&self) -> Result<Vec<f32>>;
}

/// Does what the lines of standard input say; answers with lines of JSON.
pub fn serve(versions: Value, mut trainer: impl Trainer, setup: f64) -> Result<()> {
    answer(&json!({ "versions": versions, "setup": setup }))?;
    for line in stdin().lock().lines() {
        let line = line?;
        match *line.split_whitespace().collect::<Vec<_>>() {
            ["check" | "train", steps] => {
                let began = std::time::Instant::now();
                trainer.train(steps.parse()?)?;
                answer(&json!({ "seconds": began.elapsed().as_secs_f64() }))?;
            }
            ["save", file] => {
                save(file, &trainer.parameters()?)?;
                answer(&json!({}))?;
            }
            _ => return Err(format!("no such work: {line}").into()),
        }
    }
    Ok(())
}

fn answer(what: &Value) -> Result<()> {
    println!("{what}");
    Ok(stdout().flush()?)
}
