mod shard {
    use super::super::{NameError, Namespace, ShardName, Weight, WeightError};

    #[test]
    fn names_and_namespaces_have_1_to_64_letters_digits_underscores_and_hyphens() {
        for good in ["redis_7070", "a", "-", "_", "A-z_0", &"x".repeat(64)] {
            assert_eq!(good.parse::<ShardName>().unwrap().as_str(), good);
            assert_eq!(good.parse::<Namespace>().unwrap().to_string(), good);
        }
        for bad in ["", " ", "a b", "a#0", "a{b}", "a:b", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(bad.parse::<ShardName>(), Err(NameError), "{bad:?}");
            assert_eq!(bad.parse::<Namespace>(), Err(NameError), "{bad:?}");
        }
    }

    #[test]
    fn a_weight_is_0_to_16_and_by_default_1() {
        assert_eq!(Weight::default().get(), 1);
        assert_eq!("0".parse(), Weight::new(0));
        assert_eq!("16".parse::<Weight>().map(Weight::get), Ok(16));
        for bad in ["", "17", "-1", "+1", "1.5", "256", "one"] {
            assert_eq!(bad.parse::<Weight>(), Err(WeightError), "{bad:?}");
        }
    }
}

mod endpoint {
    use super::super::Endpoint;

    #[test]
    fn an_endpoint_is_completed_and_shows_no_password() {
        let table = [
            ("redis://h", "redis://h:6379/0", "redis://h:6379/0"),
            ("redis://H:7070/", "redis://h:7070/0", "redis://h:7070/0"),
            ("redis://127.0.0.1:7070/3", "redis://127.0.0.1:7070/3", "redis://127.0.0.1:7070/3"),
            ("redis://[::1]:7070", "redis://[::1]:7070/0", "redis://[::1]:7070/0"),
            ("redis://app@h", "redis://app@h:6379/0", "redis://app@h:6379/0"),
            ("redis://:pw@h", "redis://:pw@h:6379/0", "redis://:***@h:6379/0"),
            ("rediss://H", "rediss://h:6379/0", "rediss://h:6379/0"),
            ("rediss://app:pw@[::1]:7070/3", "rediss://app:pw@[::1]:7070/3", "rediss://app:***@[::1]:7070/3"),
            ("redis://app:p%40%3Bw@h", "redis://app:p%40%3Bw@h:6379/0", "redis://app:***@h:6379/0"),
        ];
        for (text, full, masked) in table {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.expose(), full);
            assert!(redis::IntoConnectionInfo::into_connection_info(full).is_ok(), "the client takes {masked}");
            assert_eq!(endpoint.to_string(), masked);
            assert_eq!(format!("{endpoint:?}"), masked);
            assert_eq!(endpoint.is_tls(), text.starts_with("rediss"));
        }
    }

    #[test]
    fn an_endpoint_that_could_not_work_is_refused() {
        let table = [
            ("", "relative URL without a base"),
            ("127.0.0.1:7070", "relative URL without a base"),
            ("redis://h:70707", "invalid port number"),
            ("localhost:7070", "scheme"),
            ("http://h", "scheme"),
            ("unix:///tmp/redis", "scheme"),
            ("valkeys://h", "scheme"),
            ("rediss://", "names no host"),
            ("rediss://h#insecure", "query or fragment"),
            ("redis://", "names no host"),
            ("redis:h", "names no host"),
            ("redis:///0", "names no host"),
            ("redis://0.0.0.0", "names no host"),
            ("redis://[::]", "names no host"),
            ("redis://h:0", "the port"),
            ("redis://h/-1", "database number"),
            ("redis://h/+1", "database number"),
            ("redis://h/0/1", "database number"),
            ("redis://h/zero", "database number"),
            ("redis://h?db=1", "query or fragment"),
            ("redis://h#", "query or fragment"),
            ("redis://a:%E9@h", "UTF-8"),
        ];
        for (text, reason) in table {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn an_endpoint_knows_its_user_and_whether_it_has_a_password() {
        let table = [
            ("redis://h", "", false),
            ("redis://app@h", "app", false),
            ("redis://:pw@h", "", true),
            ("rediss://app:p@w:x@[::1]", "app", true),
            ("redis://a%40b:pw@h", "a%40b", true),
        ];
        for (text, user, has_password) in table {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.user(), endpoint.has_password()), (user, has_password), "{text}");
        }
    }

    #[test]
    fn endpoints_that_mean_the_same_are_equal() {
        let endpoint = |text: &str| text.parse::<Endpoint>().unwrap();
        assert_eq!(endpoint("redis://h"), endpoint("redis://H:6379/0"));
        assert_eq!(endpoint("rediss://h"), endpoint("REDISS://H:6379/0"));
        assert_ne!(endpoint("redis://h"), endpoint("redis://h/1"));
        assert_ne!(endpoint("redis://h"), endpoint("rediss://h"));
        assert_ne!(endpoint("redis://a:b@h"), endpoint("redis://a:c@h"));
    }
}

mod password {
    use super::super::{PasswordError, PasswordSource};

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
}
