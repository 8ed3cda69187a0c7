//! The fold on real Redis: random schedules against a plain count, and the hot script's cost.

mod cost;
mod crash;
mod schedules;
mod single;
mod sums;
mod world;
