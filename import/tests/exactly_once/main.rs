//! An import is counted exactly once, whatever interrupts it and however often it is repeated.

mod random;
mod real;
mod rules;
mod world;
