//! Traces: spans of invocations, flushes and calls of Redis, where they are built in (feature `otel`). Otherwise what is to be
//! traced is run as it is, and nothing else is compiled.

#[cfg(not(feature = "otel"))]
mod off;
#[cfg(feature = "otel")]
mod on;

#[cfg(not(feature = "otel"))]
pub use off::{call, export, flush, invocation};
#[cfg(feature = "otel")]
pub use on::{call, export, flush, invocation, layer};
