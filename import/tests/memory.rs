//! The memory that reading takes does not depend on the input. Alone in its process, whose peak is measured.

use std::io::Read;
use visits_import::{Blocks, Bounds, LogOptions, Source};

/// A log of distinct long paths, made as it is read.
struct Distinct {
    line: Vec<u8>,
    at: usize,
    left: u64,
}

impl Read for Distinct {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.line.len() && self.left > 0 {
            self.left -= 1;
            let path = format!("{:0400}", self.left);
            self.line = format!("h - - [t] \"GET /{path} HTTP/1.1\" 200 1\n").into_bytes();
            self.at = 0;
        }
        let some = buffer.len().min(self.line.len() - self.at);
        buffer[..some].copy_from_slice(&self.line[self.at..self.at + some]);
        self.at += some;
        Ok(some)
    }
}

fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn any_number_of_distinct_pages_is_read_in_constant_memory() {
    const LINES: u64 = 150_000;
    let input = Distinct { line: Vec::new(), at: 0, left: LINES };
    let bounds = Bounds { names: 200_000, bytes: 1024 * 1024 };
    let before = peak_kilobytes();
    let mut blocks = Blocks::new(&Source::AccessLog(LogOptions::default()), input, bounds).unwrap();
    let mut pages = 0;
    while let Some(block) = blocks.next_block(&mut |_| {}).unwrap() {
        pages += block.len() as u64;
    }
    assert_eq!((pages, blocks.summary().counted), (LINES, LINES));
    let grown = peak_kilobytes() - before;
    assert!(grown < 10_000, "{grown} kB for {} MB of input", blocks.summary().bytes / 1_000_000);
}
