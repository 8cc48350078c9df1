//! What can go wrong, one variant a failure. Each message says what was expected and what found.

use std::fmt;

/// A failure of this crate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// There is no memory for so many elements.
    OutOfMemory {
        /// How many elements were asked for.
        elements: usize,
    },
    /// A network needs the size of its input and of at least one layer.
    TooFewSizes {
        /// How many sizes were given.
        found: usize,
    },
    /// A size is 0.
    ZeroSize {
        /// Which of the sizes.
        index: usize,
    },
    /// The sizes make more parameters than [`crate::network::MAX_PARAMETERS`].
    TooManyParameters,
    /// A dataset has more rows than a 32-bit index counts.
    TooManyRows {
        /// How many rows there are.
        found: usize,
    },
    /// A name that is none of the choices.
    UnknownName {
        /// What it should name.
        what: &'static str,
        /// The name given.
        found: String,
        /// All names there are, separated by commas.
        choices: String,
    },
    /// Softmax in a hidden layer.
    HiddenSoftmax {
        /// The layer, counted from 0.
        layer: usize,
    },
    /// A loss that goes with one output activation only.
    LossNeeds {
        /// The loss.
        loss: &'static str,
        /// The output activation that it needs.
        expected: &'static str,
        /// The output activation given.
        found: &'static str,
    },
    /// A number of things is wrong.
    Length {
        /// What is counted.
        what: &'static str,
        /// How many are right.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// An array does not have the shape that belongs here.
    Shape {
        /// Which array.
        what: &'static str,
        /// The right number of columns.
        expected: usize,
        /// The rows and columns that it has.
        found: (usize, usize),
    },
    /// An element is infinite or NaN.
    NotFinite {
        /// Which array.
        what: &'static str,
        /// The first such element, counted through the whole array.
        index: usize,
    },
    /// A label is not one of the classes.
    Label {
        /// The row, counted from 0.
        row: usize,
        /// The label.
        found: i64,
        /// How many classes there are.
        classes: usize,
    },
    /// A batch of no rows.
    EmptyBatch,
    /// A learning rate, momentum or l2 that is negative, infinite or NaN.
    Hyperparameter {
        /// Which.
        what: &'static str,
        /// Its value, printed.
        found: String,
    },
    /// Steps beyond the end of the epoch.
    Steps {
        /// How many steps the epoch has.
        expected: usize,
        /// The step after the last one asked for.
        found: usize,
    },
}

impl Error {
    /// An unknown name beside the names there are.
    pub(crate) fn unknown_name(what: &'static str, found: &str, choices: &[&str]) -> Self {
        Self::UnknownName { what, found: found.to_owned(), choices: choices.join(", ") }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory { elements } => {
                write!(f, "not enough memory for {elements} elements")
            }
            Self::TooFewSizes { found } => {
                write!(f, "expected at least two sizes, found {found}")
            }
            Self::ZeroSize { index } => {
                write!(f, "expected sizes of at least 1, found sizes[{index}] = 0")
            }
            Self::TooManyParameters => {
                write!(f, "expected at most {} parameters, found more", (1_u64 << 31) - 1)
            }
            Self::TooManyRows { found } => {
                write!(f, "expected at most {} rows, found {found}", u32::MAX)
            }
            Self::UnknownName { what, found, choices } => {
                write!(f, "expected {what} to be one of {choices}, found {found:?}")
            }
            Self::HiddenSoftmax { layer } => write!(
                f,
                "expected softmax at the output only, found it in hidden layer {layer}: there it \
                 would tie the units of a layer together"
            ),
            Self::LossNeeds { loss, expected, found } => {
                write!(f, "expected output activation {expected} with loss {loss}, found {found}")
            }
            Self::Length { what, expected, found } => {
                write!(f, "expected {expected} {what}, found {found}")
            }
            Self::Shape { what, expected, found: (rows, columns) } => {
                write!(f, "expected {what} of shape (n, {expected}), found ({rows}, {columns})")
            }
            Self::NotFinite { what, index } => {
                write!(f, "expected finite {what}, found an infinity or NaN at element {index}")
            }
            Self::Label { row, found, classes } => {
                write!(f, "expected labels in 0 .. {}, found {found} in row {row}", classes - 1)
            }
            Self::EmptyBatch => write!(f, "expected a batch of at least 1 row, found 0"),
            Self::Hyperparameter { what, found } => {
                write!(f, "expected {what} to be finite and at least 0, found {found}")
            }
            Self::Steps { expected, found } => {
                write!(f, "expected an epoch of at most {expected} steps, found {found}")
            }
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn messages_say_what_was_expected_and_what_was_found() {
        let label = Error::Label { row: 3, found: 10, classes: 10 };
        assert_eq!(label.to_string(), "expected labels in 0 .. 9, found 10 in row 3");
        let shape = Error::Shape { what: "x", expected: 784, found: (5, 783) };
        assert_eq!(shape.to_string(), "expected x of shape (n, 784), found (5, 783)");
        let name = Error::unknown_name("loss", "mse", &["squared_error", "cross_entropy"]);
        assert_eq!(
            name.to_string(),
            "expected loss to be one of squared_error, cross_entropy, found \"mse\""
        );
    }
}
