//! Values that merge.
