//! A function of the counter as the simulator runs it, with the durations of the protocol scaled.

use crate::world::{INTERVAL, SCALE};
use lambda_simulator::{FrozenClockVariable, FunctionConfig, Simulator};
use test_support::release_program;

/// The release binary `program`, deployed as `name`, with these variables on top of those that every function of a
/// scenario has. `test`: what `VISITS_TEST` says besides scale and clock.
pub(crate) fn function<'a>(
    lambda: &Simulator,
    (program, name): (&str, &str),
    test: &str,
    env: impl IntoIterator<Item = (&'a str, String)>,
) -> FunctionConfig {
    let common = [
        ("VISITS_FLUSH_INTERVAL", format!("{}ms", INTERVAL.as_millis())),
        ("AWS_ENDPOINT_URL_LAMBDA", lambda.invoke_endpoint()),
        ("AWS_ACCESS_KEY_ID", "simulated".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "simulated".to_owned()),
    ];
    let env = common.into_iter().chain(env).map(|(name, value)| (name.to_owned(), value)).collect();
    let value = format!("scale={SCALE}{test},frozen={{path}}");
    let frozen_clock = Some(FrozenClockVariable { name: "VISITS_TEST".to_owned(), value });
    FunctionConfig { env, frozen_clock, ..FunctionConfig::new(name, release_program(program)) }
}
