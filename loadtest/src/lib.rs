//! A load generator for servers that speak Redis, which hides nothing of what clients wait for.
//!
//! In an open loop operations begin at times that were set before, and latencies count from there ([`schedule`],
//! [`tally`]): a server that stands still for a second is seen by everything that was to begin in it. In a closed loop
//! connections wait for answers. What is done is drawn from [`workload`]s of [`mix`]es and [`distribution`]s, put into
//! words by [`command`]; [`judged`] clients beside the load record what they were told, and checkers judge it.
//! [`bench::run`] carries out a [`plan::Plan`]; a [`report::Report`] says what it came to, as JSON and as a page.
//!
//! Pure are [`distribution`], [`schedule`], [`workload`], [`command`], [`reply`], [`fault`], [`timeline`], [`mix`],
//! [`tally`], [`void`] and [`report`]: they do no IO and know no clock.

pub mod bench;
pub mod client;
pub mod cluster;
pub mod command;
pub mod demo;
pub mod distribution;
pub mod fault;
pub mod judged;
pub mod kind;
pub mod level;
pub mod load;
pub mod mix;
pub mod null;
pub mod outcome;
pub mod plan;
pub mod reply;
pub mod report;
pub mod schedule;
pub mod tally;
pub mod target;
pub mod timeline;
pub mod tls;
pub mod void;
pub mod workload;

/// What everything is drawn from.
pub type Random = rand_xoshiro::Xoshiro256PlusPlus;
