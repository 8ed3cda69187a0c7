//! Who this program is to AWS, and in which region: asked for at each use, never at the start.

#[cfg(feature = "aws-identity")]
use super::chain::Chain;
use super::environment::Environment;
use crate::clock::Clock;
use std::fmt;

/// Where credentials come from, and the time that they sign.
#[derive(Debug)]
pub(crate) struct Aws {
    clock: Clock,
    environment: Environment,
    /// Where else credentials are looked for. None: nowhere.
    #[cfg(feature = "aws-identity")]
    chain: Option<Chain>,
}

/// Who signs, and for which region.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(super) keys: Keys,
    pub(super) region: String,
}

/// AWS credentials.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: String,
    /// The session's, if they are a role's.
    pub(super) token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.id)
    }
}

pub(super) const NO_REGION: &str = "the region is unknown: set AWS_REGION";

const NO_KEYS: &str = "there are no AWS credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set (Lambda sets \
     them; to take a profile's or a container's, build with --features aws-identity)";

impl Aws {
    /// By this process's environment and, where it is built in, whatever else the SDK looks at.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            environment: Environment::of_process(),
            #[cfg(feature = "aws-identity")]
            chain: Some(Chain::default()),
        }
    }

    /// By these variables and nothing else.
    pub(crate) fn with(clock: Clock, environment: Environment) -> Self {
        Self {
            clock,
            environment,
            #[cfg(feature = "aws-identity")]
            chain: None,
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    #[cfg(feature = "secrets-manager")]
    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Who this is now. An error says what is missing.
    #[cfg_attr(not(feature = "aws-identity"), expect(clippy::unused_async, reason = "with the feature it waits"))]
    pub(crate) async fn identity(&self) -> Result<Identity, String> {
        let (region, keys) = (self.region(), self.keys());
        if let (Some(region), Some(keys)) = (&region, &keys) {
            return Ok(Identity { keys: keys.clone(), region: region.clone() });
        }
        #[cfg(feature = "aws-identity")]
        if let Some(chain) = &self.chain {
            return chain.identity(region, keys).await;
        }
        Err(if region.is_none() { NO_REGION } else { NO_KEYS }.to_owned())
    }

    fn region(&self) -> Option<String> {
        self.environment.get("AWS_REGION").or_else(|| self.environment.get("AWS_DEFAULT_REGION"))
    }

    fn keys(&self) -> Option<Keys> {
        let id = self.environment.get("AWS_ACCESS_KEY_ID")?;
        let secret = self.environment.get("AWS_SECRET_ACCESS_KEY")?;
        Some(Keys { id, secret, token: self.environment.get("AWS_SESSION_TOKEN") })
    }
}
