mod password {
    use super::super::*;

    fn of(content: impl AsRef<[u8]>) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, content).unwrap();
        Password::read(file.path()).map(|password| password.expose().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_password_is_the_file_without_the_end_of_its_last_line() {
        for (content, password) in [("s3cret", "s3cret"), ("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret")] {
            assert_eq!(of(content).as_deref(), Ok(password));
        }
        for (content, password) in [(" a b \n", " a b "), ("a\nb\n\n", "a\nb\n"), ("é\r", "é\r")] {
            assert_eq!(of(content).as_deref(), Ok(password), "only one end of a line is taken away");
        }
        assert_eq!(of("x".repeat(4096)).unwrap().len(), 4096);
    }

    #[test]
    fn a_file_without_a_password_is_told_by_its_path_and_shows_nothing() {
        for (content, reason) in [
            (Vec::new(), "the file is empty"),
            (b"\n".to_vec(), "the file is empty"),
            (b"s3cret".repeat(1000), "the file is longer than 4096 bytes"),
            (b"s3cret\xff".to_vec(), "the file is not text"),
        ] {
            let message = of(content).unwrap_err();
            assert!(message.contains("the password file /") && message.ends_with(reason), "{message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
        let missing = Password::read(Path::new("/no/such/file")).unwrap_err().to_string();
        assert!(missing.contains("/no/such/file: the file cannot be read: No such file"), "{missing}");
        assert!(Password::read(Path::new("/")).unwrap_err().to_string().ends_with("it is not a file"));
    }

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(format!("{:?}", Password::new("s3cret")), "***");
    }
}

#[test]
fn the_member_of_a_json_object_is_the_password() {
    use super::*;
    let password = |json: &str, key| {
        let secret = Secret::new(Aws::of(crate::clock::Clock::system(), |_| None), "site/redis", Some(key));
        secret.password_in(json.to_owned()).map(|password| password.expose().to_owned())
    };
    let json = r#"{"username":"app","pass word":"s3cr\"et","port":6379}"#;
    assert_eq!(password(json, "pass word").as_deref(), Ok("s3cr\"et"));
    for (json, key) in [(json, "port"), (json, "x"), ("s3cret", "x"), (r#"["s3cret"]"#, "x"), ("\"s3cret\"", "x")] {
        let reason = password(json, key).unwrap_err();
        assert!(!reason.contains("s3cr") && reason.contains("JSON"), "{reason}");
    }
}
