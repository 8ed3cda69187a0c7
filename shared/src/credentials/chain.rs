//! Credentials and region from where the AWS SDK looks for them: profile, web identity, container, instance.

use super::aws::{Identity, Keys, NO_REGION};
use super::{TIMEOUT, told};
use crate::aws_sdk;
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use tokio::sync::OnceCell;

/// The SDK's settings, loaded at their first use.
#[derive(Debug, Default)]
pub(super) struct Chain(OnceCell<SdkConfig>);

impl Chain {
    /// Who this is, of which the environment has told `region` and `keys` or one of them or none.
    pub(super) async fn identity(&self, region: Option<String>, keys: Option<Keys>) -> Result<Identity, String> {
        let settings = self.0.get_or_init(|| aws_sdk::settings(TIMEOUT).load()).await;
        let region = region.or_else(|| settings.region().map(ToString::to_string)).ok_or(NO_REGION)?;
        let keys = match keys {
            Some(keys) => keys,
            None => found(settings).await?,
        };
        Ok(Identity { keys, region })
    }
}

async fn found(settings: &SdkConfig) -> Result<Keys, String> {
    let provider = settings.credentials_provider().ok_or("there are no AWS credentials")?;
    let found = provider.provide_credentials().await.map_err(|error| told(&error))?;
    Ok(Keys {
        id: found.access_key_id().to_owned(),
        secret: found.secret_access_key().to_owned(),
        token: found.session_token().map(str::to_owned),
    })
}
