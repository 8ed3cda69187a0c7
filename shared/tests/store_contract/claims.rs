//! The claims, by topic.

pub(crate) mod bad_data;
pub(crate) mod base;
pub(crate) mod exactly_once;
pub(crate) mod imports;
pub(crate) mod parking;
pub(crate) mod reading;
pub(crate) mod rehoming;
pub(crate) mod rollup;
pub(crate) mod statistics;
pub(crate) mod writers;
