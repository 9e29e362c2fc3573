//! Who is alive.
