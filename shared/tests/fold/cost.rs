//! What the hot script does.
