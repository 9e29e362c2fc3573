//! The chain of decided layouts, one register per version.
