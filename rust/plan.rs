//! The one place that decides how the work is done, and says what it has decided.

use crate::error::Error;
use crate::kernels::Isa;

/// How the work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The instruction set of the kernels.
    pub isa: Isa,
    /// How many threads share the work.
    pub threads: usize,
    /// Which telling of the algorithm runs.
    pub path: Path,
}

/// A telling of the algorithm; all give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// Layer by layer, as `train.rs` tells it.
    Layered,
}

impl Path {
    /// The name that `explain` gives.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Layered => "layered",
        }
    }
}

impl Plan {
    /// Decides: the instruction set named, else the widest there is; one thread, layer by layer.
    ///
    /// # Errors
    /// [`Error::UnknownName`] where this processor has no such instruction set.
    pub fn new(isa: Option<&str>) -> Result<Self, Error> {
        let isa = isa.map_or_else(|| Ok(Isa::detect()), Isa::named)?;
        Ok(Self { isa, threads: 1, path: Path::Layered })
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, Plan};
    use crate::kernels::Isa;

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
}
