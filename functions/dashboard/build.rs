//! Compresses what browsers load, since nothing on the way from Lambda to them does, and names each version of it.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::Path;

const ASSETS: [&str; 7] = ["index.html", "app.js", "app.css", "counter.js", "openapi.json", "demo.html", "demo.js"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::var("OUT_DIR")?;
    for name in ASSETS {
        let source = Path::new("assets").join(name);
        println!("cargo::rerun-if-changed={}", source.display());
        let bytes = fs::read(&source).map_err(|error| format!("{}: {error}", source.display()))?;
        // Neither name nor time goes into it: the same file gives the same bytes.
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bytes)?;
        fs::write(Path::new(&out).join(format!("{name}.gz")), gzip.finish()?)?;
        let tag = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&bytes));
        fs::write(Path::new(&out).join(format!("{name}.tag")), tag)?;
    }
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
