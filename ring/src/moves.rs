//! Moving a partition from its old owners to its new ones without a stale read.
