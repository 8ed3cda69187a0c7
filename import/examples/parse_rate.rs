//! How fast an access log is read: `cargo run --release -p visits-import --example parse_rate`.
//!
//! Writes a log like a real one to a temporary file (`SIZE_MB`, 1000 by default; `PAGES` distinct pages, 50,000 by
//! default), reads it a few times (`ROUNDS`, 3), and prints the best rate beside the least that any reader of lines must
//! do on the same file, counting its line ends with `memchr`, and the most memory that this process ever took. Quick,
//! and with a bound that holds on any machine: `SIZE_MB=20 MAX_RATIO=40`.

use memchr::memchr_iter;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::time::{Duration, Instant};
use visits_import::{LogOptions, Source, survey};

type Failure = Box<dyn std::error::Error>;

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
];

fn main() -> Result<(), Failure> {
    let (size, pages, rounds) = (setting("SIZE_MB", 1000), setting("PAGES", 50_000), setting("ROUNDS", 3));
    let mut file = tempfile::tempfile()?;
    let lines = write_log(&mut file, size * 1_000_000, pages)?;
    let bytes = file.metadata()?.len();
    let floor = best(rounds, &mut file, |file| {
        assert_eq!(count_lines(file)?, lines);
        Ok(())
    })?;
    let plain = best(rounds, &mut file, |file| read(file, lines))?;
    println!("{lines} lines, {bytes} bytes, {pages} pages");
    for (what, time) in [("line ends by memchr", floor), ("access log", plain)] {
        let rate = u128::from(bytes) / time.as_micros().max(1);
        println!("{what:20} {rate:6} MB/s, {:5.2} times the time of memchr", ratio(time, floor));
    }
    println!("most memory (VmHWM): {}", most_memory().unwrap_or_else(|| "unknown".to_owned()));
    let most = u32::try_from(setting("MAX_RATIO", 1_000_000))?;
    if plain > floor * most {
        return Err(format!("it takes more than {most} times the time of memchr").into());
    }
    Ok(())
}

fn ratio(time: Duration, floor: Duration) -> f64 {
    time.as_secs_f64() / floor.as_secs_f64()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn read(file: &mut File, lines: u64) -> Result<(), Failure> {
    let summary = survey(&Source::AccessLog(LogOptions::default()), file, &mut |_| {})?;
    assert_eq!((summary.records, summary.bad), (lines, 0));
    Ok(())
}

fn count_lines(file: &mut File) -> io::Result<u64> {
    let (mut buffer, mut lines) = (vec![0; 256 * 1024], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(lines),
            read => lines += memchr_iter(b'\n', &buffer[..read]).count() as u64,
        }
    }
}

fn best(
    rounds: u64,
    file: &mut File,
    mut run: impl FnMut(&mut File) -> Result<(), Failure>,
) -> Result<Duration, Failure> {
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        file.rewind()?;
        let start = Instant::now();
        run(file)?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

/// Requests with a long tail of pages: few are asked for often, most hardly ever. Returns the number of lines.
fn write_log(file: &mut File, size: u64, pages: u64) -> io::Result<u64> {
    let mut output = BufWriter::with_capacity(1 << 20, file);
    let (mut written, mut lines, mut state) = (0, 0, 1_u64);
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut line = Vec::new();
    while written < size {
        line.clear();
        let most = 1 + random(pages);
        let page = random(most);
        let path = match random(20) {
            0..=7 => format!("/assets/app-{}.js", page % 50),
            8 => format!("/search?q=term{page}&page=2"),
            9 => format!("/caf%C3%A9/{page}"),
            _ => format!("/blog/2025/10/a-post-about-something-{page}/"),
        };
        let status = [200, 200, 200, 200, 304, 301, 404][usize::try_from(random(7)).unwrap_or(0)];
        let agent = AGENTS[usize::try_from(random(4)).unwrap_or(0)];
        let (second, host, sent) = (random(60), random(250), random(100_000));
        writeln!(
            line,
            "203.0.113.{host} - - [10/Oct/2025:13:55:{second:02} +0000] \"GET {path} HTTP/1.1\" {status} {sent} \
             \"https://www.example.org/\" \"{agent}\""
        )?;
        output.write_all(&line)?;
        (written, lines) = (written + line.len() as u64, lines + 1);
    }
    output.flush()?;
    Ok(lines)
}

fn most_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned())
}
