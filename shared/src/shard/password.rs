//! Where the password of a shard's server comes from, if not from its URL.

use super::Endpoint;
use std::path::PathBuf;

/// Where the password comes from. No password is in here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum PasswordSource {
    /// The endpoint's URL, or there is none.
    #[default]
    Url,
    /// This file, read at each new connection.
    File(PathBuf),
    /// AWS Secrets Manager.
    Secret {
        /// The secret's name or ARN.
        id: String,
        /// The member of a JSON object that holds the password. None: the secret is the password.
        key: Option<String>,
    },
    /// Tokens that AWS credentials sign, for an `ElastiCache` cache.
    Iam {
        /// The cache's name (of a serverless cache, or of a replication group), in lower case.
        cache: String,
        /// Whether it is a serverless cache.
        serverless: bool,
    },
}

/// Why an option that says where the password comes from cannot be used. No message repeats a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// A relative path, or a password in its place.
    #[error("the path of a ;password-file begins with /")]
    Path,
    /// Not what Secrets Manager calls a secret.
    #[error("a ;password-secret is the name or ARN of a secret, and #key after it for a member of its JSON")]
    Secret,
    /// Not what `ElastiCache` calls a cache.
    #[error("the name of a cache is 1 to 40 letters, digits and hyphens")]
    Cache,
    /// More than one source.
    #[error("a password comes from one place: the URL, ;password-file, ;password-secret, ;iam or ;iam-serverless")]
    Several,
    /// IAM without TLS.
    #[error("an IAM login needs TLS: write rediss://")]
    Tls,
    /// IAM without a user that IAM could know.
    #[error("an IAM login needs the user's id in the URL, of letters, digits and hyphens: rediss://USER@host")]
    User,
    /// The program lacks the feature.
    #[error(
        "this program was built without IAM logins, which ;iam and ;iam-serverless need: build it with --features iam"
    )]
    NoIam,
    /// The program lacks the feature.
    #[error(
        "this program was built without Secrets Manager, which ;password-secret needs: \
         build it with --features secrets-manager"
    )]
    NoSecretsManager,
}

impl PasswordSource {
    /// What the option `key` with this value says, if that is an option about passwords.
    pub fn from_option(key: &str, value: &str) -> Option<Result<Self, PasswordError>> {
        Some(match key {
            "password-file" if value.starts_with('/') => Ok(Self::File(value.into())),
            "password-file" => Err(PasswordError::Path),
            "password-secret" => secret(value).ok_or(PasswordError::Secret),
            "iam" | "iam-serverless" => cache(value)
                .map(|cache| Self::Iam { cache, serverless: key == "iam-serverless" })
                .ok_or(PasswordError::Cache),
            _ => return None,
        })
    }

    /// Checks that this program can get a password from here, and log in to `endpoint` with it.
    pub fn check(&self, endpoint: &Endpoint) -> Result<(), PasswordError> {
        if *self == Self::Url {
            return Ok(());
        }
        if endpoint.has_password() {
            return Err(PasswordError::Several);
        }
        if matches!(self, Self::Iam { .. }) {
            let user = endpoint.user();
            if !endpoint.is_tls() {
                return Err(PasswordError::Tls);
            }
            if user.is_empty() || !user.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return Err(PasswordError::User);
            }
        }
        match self {
            Self::Iam { .. } if !cfg!(feature = "iam") => Err(PasswordError::NoIam),
            Self::Secret { .. } if !cfg!(feature = "secrets-manager") => Err(PasswordError::NoSecretsManager),
            _ => Ok(()),
        }
    }
}

fn secret(value: &str) -> Option<PasswordSource> {
    let (id, key) = value.split_once('#').map_or((value, None), |(id, key)| (id, Some(key)));
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-:".contains(&byte);
    let fits = (1..=2048).contains(&id.len()) && id.bytes().all(allowed) && key != Some("");
    fits.then(|| PasswordSource::Secret { id: id.to_owned(), key: key.map(str::to_owned) })
}

fn cache(value: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    // The token that is signed has the name as ElastiCache keeps it.
    ((1..=40).contains(&value.len()) && value.bytes().all(allowed)).then(|| value.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{PasswordError, PasswordSource};

    fn option(key: &str, value: &str) -> Result<PasswordSource, PasswordError> {
        PasswordSource::from_option(key, value).unwrap()
    }

    fn checked(key: &str, value: &str, url: &str) -> Result<(), PasswordError> {
        option(key, value).unwrap().check(&url.parse().unwrap())
    }

    #[test]
    fn each_option_names_its_source() {
        let secret =
            |id: &str, key: Option<&str>| Ok(PasswordSource::Secret { id: id.to_owned(), key: key.map(str::to_owned) });
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:site/redis-AbCdEf";
        assert_eq!(option("password-file", "/run/redis"), Ok(PasswordSource::File("/run/redis".into())));
        assert_eq!(option("password-secret", "site/redis"), secret("site/redis", None));
        assert_eq!(option("password-secret", &format!("{arn}#pass word")), secret(arn, Some("pass word")));
        for (key, serverless) in [("iam", false), ("iam-serverless", true)] {
            assert_eq!(option(key, "My-Cache"), Ok(PasswordSource::Iam { cache: "my-cache".to_owned(), serverless }));
        }
        assert!(PasswordSource::from_option("password", "x").is_none());
    }

    #[test]
    fn a_value_that_names_nothing_is_refused() {
        for path in ["", "hunter2", "./x"] {
            assert_eq!(option("password-file", path), Err(PasswordError::Path), "{path}");
        }
        for secret in ["", "#", "#key", "id#", "i d", "id!", &"x".repeat(2049)] {
            assert_eq!(option("password-secret", secret), Err(PasswordError::Secret), "{secret}");
        }
        for cache in ["", "a.b", "a_b", &"x".repeat(41)] {
            assert_eq!(option("iam", cache), Err(PasswordError::Cache), "{cache}");
        }
    }

    #[test]
    fn a_password_in_the_url_leaves_no_room_for_another() {
        assert_eq!(checked("password-file", "/p", "redis://app:pw@h"), Err(PasswordError::Several));
        assert_eq!(checked("password-file", "/p", "redis://app@h"), Ok(()));
        assert_eq!(PasswordSource::Url.check(&"redis://app:pw@h".parse().unwrap()), Ok(()));
    }

    #[test]
    fn iam_needs_tls_and_a_user() {
        for key in ["iam", "iam-serverless"] {
            assert_eq!(checked(key, "c", "redis://app@h"), Err(PasswordError::Tls));
            assert_eq!(checked(key, "c", "rediss://h"), Err(PasswordError::User));
            assert_eq!(checked(key, "c", "rediss://a%20b@h"), Err(PasswordError::User));
            assert_eq!(checked(key, "c", "rediss://app:pw@h"), Err(PasswordError::Several));
        }
    }

    #[test]
    fn what_needs_aws_works_exactly_where_it_is_built_in() {
        let iam = if cfg!(feature = "iam") { Ok(()) } else { Err(PasswordError::NoIam) };
        let secret = if cfg!(feature = "secrets-manager") { Ok(()) } else { Err(PasswordError::NoSecretsManager) };
        for (key, value, expected) in
            [("iam", "c", iam), ("iam-serverless", "c", iam), ("password-secret", "site/redis", secret)]
        {
            assert_eq!(checked(key, value, "rediss://app@h"), expected);
        }
        assert!(PasswordError::NoIam.to_string().ends_with("build it with --features iam"));
        assert!(PasswordError::NoSecretsManager.to_string().ends_with("build it with --features secrets-manager"));
    }
}
