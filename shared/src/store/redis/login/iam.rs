//! IAM logins to `ElastiCache`: the password is a request to its `connect` action, signed and never sent as one.
//!
//! `ElastiCache` takes a token for 15 minutes from its making and closes the connection 12 hours after a login. So a
//! token is made for each login, and a login is renewed in time ([`super::Login::is_due`]).

use crate::clock::Moment;
use crate::credentials::{Aws, CredentialsError, Password, Signer, in_time};
use std::sync::Arc;
use std::time::Duration;

/// How long a token is taken; `ElastiCache` knows no other duration.
const TOKEN_TTL: Duration = Duration::from_mins(15);

const SERVICE: &str = "elasticache";

/// How to log in as one user to one cache.
#[derive(Debug)]
pub(super) struct Iam {
    aws: Arc<Aws>,
    user: String,
    /// In lower case.
    cache: String,
    serverless: bool,
}

impl Iam {
    pub(super) fn new(aws: Arc<Aws>, user: &str, cache: &str, serverless: bool) -> Self {
        Self { aws, user: user.to_owned(), cache: cache.to_owned(), serverless }
    }

    pub(super) fn now(&self) -> Moment {
        self.aws.clock().now()
    }

    /// A token that is taken from now on for 15 minutes.
    pub(super) async fn token(&self) -> Result<Password, CredentialsError> {
        in_time(Box::pin(self.make()))
            .await
            .map_err(|reason| CredentialsError::Aws(format!("no token for an IAM login: {reason}")))
    }

    async fn make(&self) -> Result<Password, String> {
        let identity = self.aws.identity().await?;
        let mut query = vec![("Action", "connect")];
        if self.serverless {
            query.push(("ResourceType", "ServerlessCache"));
        }
        query.push(("User", &self.user));
        let signer = Signer::new(&identity, SERVICE, self.now());
        Ok(Password::new(&signer.presigned(&self.cache, &query, TOKEN_TTL)))
    }
}
