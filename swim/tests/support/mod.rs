//! How large the tests run.

/// Seeds to run: three, or twenty for the published figures.
pub(crate) fn seeds() -> std::ops::Range<u64> {
    1..if proof() { 21 } else { 4 }
}

/// Whether everything runs at full size.
pub(crate) fn proof() -> bool {
    std::env::var_os("COTERIE_PROOF").is_some()
}
