//! Brings counts from elsewhere into the shards, each import exactly once.
//!
//! An input is read in constant memory into blocks of counts ([`Blocks`]), these are sealed as batches of a writer whose
//! identity follows from the import's id, and the batches are applied like any other ([`import`]). An import that was
//! interrupted is repeated from its start: it makes the same batches, and the shards know which they have.

mod access_log;
mod counters;
mod digest;
mod export;
mod goatcounter;
mod import;
mod lines;
mod page;
mod read;
mod retry;
mod source;
mod summary;
mod tally;

pub use access_log::{InvalidPattern, LogMethod, LogOptions, PagePattern};
pub use counters::CounterOptions;
pub use export::ExportWriter;
pub use goatcounter::GoatCounterOptions;
pub use import::{Import, ImportError, Imported, Outcome, Progress, Stage, import};
pub use page::PageRule;
pub use read::{Blocks, ReadError, survey};
pub use retry::Patience;
pub use source::Source;
pub use summary::{BAD_KEPT, BadRecord, Summary};
pub use tally::{Block, Bounds, MAX_RECORD_VISITS};
