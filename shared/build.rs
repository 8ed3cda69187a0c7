//! Takes the SHA-1 of the hot script, by which Redis knows it: to take it at run time is a fifth of the instructions of a short
//! start of `record-visit`.

use std::fs::read_to_string;

fn main() -> std::io::Result<()> {
    let [prelude, apply] = ["prelude", "apply"].map(|name| format!("src/store/redis/{name}.lua"));
    println!("cargo::rerun-if-changed={prelude}\ncargo::rerun-if-changed={apply}");
    let text = read_to_string(prelude)? + &read_to_string(apply)?;
    println!("cargo::rustc-env=APPLY_DIGEST={}", sha1_smol::Sha1::from(text).digest());
    Ok(())
}
