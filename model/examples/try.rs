use protocol_model::check::*;
use protocol_model::rehome::{configs, model::RehomeModel};
fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    println!("{HEADER}");
    for config in configs::all() {
        if !config.name.contains(&filter) { continue; }
        let outcome = check(RehomeModel { config }, 1);
        println!("{outcome}");
        for (p, path) in &outcome.violations { println!("does not hold: {p}\n{}", steps(path)); }
        for missed in &outcome.missed { println!("never happens: {missed}"); }
    }
}
