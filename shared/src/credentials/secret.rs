//! A password from AWS Secrets Manager: fetched at the first login, and again when the server refuses it.

use super::aws::Aws;
use super::{CredentialsError, Password, in_time, secrets_manager};
use crate::clock::Moment;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A secret is asked for at most this often: while it is wrong, every request may try to log in, and AWS bills each call.
const PAUSE: Duration = Duration::from_secs(5);

/// A secret's name or ARN, and the member of its JSON.
type SecretName = (String, Option<String>);

/// The secrets of a deployment, each of which is fetched once for all who want it.
#[derive(Debug)]
pub(crate) struct Secrets {
    aws: Arc<Aws>,
    secrets: Mutex<HashMap<SecretName, Arc<Secret>>>,
}

impl Secrets {
    pub(crate) fn new(aws: Arc<Aws>) -> Self {
        Self { aws, secrets: Mutex::default() }
    }

    pub(crate) fn get(&self, id: &str, key: Option<&str>) -> Arc<Secret> {
        let name = (id.to_owned(), key.map(str::to_owned));
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = secrets
            .entry(name)
            .or_insert_with_key(|(id, key)| Arc::new(Secret::new(Arc::clone(&self.aws), id.clone(), key.clone())));
        Arc::clone(secret)
    }
}

/// A secret that is, or holds, a password.
#[derive(Debug)]
pub(crate) struct Secret {
    aws: Arc<Aws>,
    id: String,
    /// The member of a JSON object.
    key: Option<String>,
    last: Mutex<Option<Fetched>>,
    /// One fetch at a time: those who wait take what the first one brings.
    fetching: Semaphore,
}

#[derive(Clone, Debug)]
struct Fetched {
    at: Moment,
    outcome: Result<Password, CredentialsError>,
}

impl Secret {
    fn new(aws: Arc<Aws>, id: String, key: Option<String>) -> Self {
        Self { aws, id, key, last: Mutex::new(None), fetching: Semaphore::const_new(1) }
    }

    /// The password as it was last fetched.
    pub(crate) async fn password(&self) -> Result<Password, CredentialsError> {
        self.last_or_fetched(|last| last.outcome.is_ok()).await
    }

    /// The password as it was fetched no longer ago than `age`.
    #[cfg(feature = "http")]
    pub(crate) async fn password_of(&self, age: Duration) -> Result<Password, CredentialsError> {
        let now = self.aws.clock().now();
        self.last_or_fetched(|last| last.outcome.is_ok() && now.since(last.at) < age).await
    }

    /// What the secret holds by now, if that is another password than `refused`.
    pub(crate) async fn newer(&self, refused: &Password) -> Result<Option<Password>, CredentialsError> {
        let is_other = |last: &Fetched| last.outcome.as_ref().is_ok_and(|password| password != refused);
        let password = self.last_or_fetched(is_other).await?;
        Ok((password != *refused).then_some(password))
    }

    async fn last_or_fetched(&self, serves: impl Fn(&Fetched) -> bool) -> Result<Password, CredentialsError> {
        let last = || self.last().filter(|last| serves(last) || self.is_recent(last)).map(|last| last.outcome);
        if let Some(outcome) = last() {
            return outcome;
        }
        // The semaphore is never closed; should it be, fetching twice is harmless.
        let _turn = self.fetching.acquire().await;
        match last() {
            Some(outcome) => outcome,
            None => self.fetch().await,
        }
    }

    async fn fetch(&self) -> Result<Password, CredentialsError> {
        let at = self.aws.clock().now();
        let asked = in_time(Box::pin(self.ask())).await;
        let outcome = asked.map_err(|reason| CredentialsError::Aws(format!("the secret {}: {reason}", self.id)));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Fetched { at, outcome: outcome.clone() });
        outcome
    }

    async fn ask(&self) -> Result<Password, String> {
        let text = secrets_manager::get(&self.aws, &self.id).await?;
        let password = match &self.key {
            None => text,
            Some(key) => member(&text, key)?,
        };
        if password.is_empty() { Err("the password is empty".to_owned()) } else { Ok(Password::new(&password)) }
    }

    fn last(&self) -> Option<Fetched> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_recent(&self, last: &Fetched) -> bool {
        self.aws.clock().now().since(last.at) < PAUSE
    }
}

/// The text at `key` of a JSON object. The parser's own message might repeat a value.
fn member(json: &str, key: &str) -> Result<String, String> {
    let object: HashMap<String, serde_json::Value> =
        serde_json::from_str(json).map_err(|_| "it is no JSON object, as its #key wants")?;
    let text = object.get(key).and_then(serde_json::Value::as_str);
    text.map(str::to_owned).ok_or_else(|| format!("its JSON has no text at {key}"))
}

#[cfg(test)]
mod tests {
    use super::member;

    #[test]
    fn the_member_of_a_json_object_is_the_password() {
        let json = r#"{"username":"app","pass word":"s3cr\"et","port":6379}"#;
        assert_eq!(member(json, "pass word").as_deref(), Ok("s3cr\"et"));
        for (json, key) in [(json, "port"), (json, "x"), ("s3cret", "x"), (r#"["s3cret"]"#, "x"), ("\"s3cret\"", "x")] {
            let reason = member(json, key).unwrap_err();
            assert!(!reason.contains("s3cr") && reason.contains("JSON"), "{reason}");
        }
    }
}
