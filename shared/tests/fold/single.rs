//! One fold, step by step.
