//! The house rules that no compiler checks, as tests: see `tests/`.
