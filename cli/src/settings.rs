//! The settings: the functions' environment variables, with the flags on top.

use crate::args::Common;
use crate::exit::Failure;
use std::ffi::OsString;
use visits_core::config::Config;

const ENDPOINTS: &str = "REDIS_ENDPOINTS";
const NAMESPACE: &str = "VISITS_NAMESPACE";

/// The settings of this call.
pub(crate) fn read(common: &Common) -> Result<Config, Failure> {
    let endpoints = given("--endpoints", common.endpoints.as_deref())?;
    let namespace = given("--namespace", common.namespace.as_deref())?;
    let lookup = |name: &str| match name {
        ENDPOINTS => endpoints.clone(),
        NAMESPACE => namespace.clone(),
        _ => None,
    };
    Ok(Config::from_vars(|name| lookup(name).or_else(|| std::env::var_os(name)))?)
}

/// The same with other endpoints, as they are planned.
pub(crate) fn with_endpoints(common: &Common, endpoints: &str) -> Result<Config, Failure> {
    let endpoints = given("NEW_ENDPOINTS", Some(endpoints))?.map(|text| text.to_string_lossy().into_owned());
    let planned = Common { endpoints, namespace: common.namespace.clone(), json: common.json };
    read(&planned).map_err(|error| Failure::Usage(format!("NEW_ENDPOINTS, read as {ENDPOINTS}: {error}")))
}

/// An empty value would leave the variable's default, which nobody who writes it means.
fn given(argument: &str, value: Option<&str>) -> Result<Option<OsString>, Failure> {
    match value {
        Some(text) if text.trim().is_empty() => Err(Failure::Usage(format!("{argument} is empty"))),
        value => Ok(value.map(OsString::from)),
    }
}
