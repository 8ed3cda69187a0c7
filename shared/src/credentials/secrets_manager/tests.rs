use super::{Answer, secret, server};
use crate::credentials::Environment;
use http::StatusCode;

fn of(status: u16, body: &str) -> Result<String, String> {
    secret(&Answer { status: StatusCode::from_u16(status).unwrap(), body: body.to_owned().into() })
}

fn told(variables: &'static [(&str, &str)], region: &str) -> Result<(String, bool), String> {
    let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    server(&Environment::of(find), region).map(|server| (server.authority(), server.is_tls()))
}

#[test]
fn each_region_has_its_own_server_and_chinas_and_the_sovereign_clouds_their_domain() {
    for (region, host) in [
        ("eu-west-1", "secretsmanager.eu-west-1.amazonaws.com"),
        ("us-gov-west-1", "secretsmanager.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "secretsmanager.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "secretsmanager.eusc-de-east-1.amazonaws.eu"),
    ] {
        assert_eq!(told(&[], region), Ok((host.to_owned(), true)));
    }
    for region in ["eu west", "a/b", "a?b", "a@b"] {
        assert_eq!(told(&[], region), Err("AWS_REGION is no region".to_owned()), "{region}");
    }
}

#[test]
fn awss_own_variables_name_another_server() {
    let (one, all) = ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL");
    assert_eq!(told(&[("AWS_ENDPOINT_URL", "https://a.test")], "x-y-1"), Ok(("a.test".to_owned(), true)));
    let both = &[("AWS_ENDPOINT_URL", "https://a.test"), ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://[::1]:80/")];
    assert_eq!(told(both, "x-y-1"), Ok(("[::1]".to_owned(), false)), "{one} before {all}");
    let reason = told(&[("AWS_ENDPOINT_URL", "ftp://a.test")], "x-y-1").unwrap_err();
    assert_eq!(reason, "AWS_ENDPOINT_URL is not http:// or https:// with a host only");
    let reason = told(&[("AWS_ENDPOINT_URL", "http://a.test")], "x-y-1").unwrap_err();
    assert!(reason.starts_with("AWS_ENDPOINT_URL: plain http to another machine"), "{reason}");
}

#[test]
fn only_a_text_is_a_secret() {
    assert_eq!(of(200, r#"{"ARN":"a","SecretString":"s3\"cret","VersionStages":["x"]}"#).as_deref(), Ok("s3\"cret"));
    assert_eq!(of(200, r#"{"SecretBinary":"c2VjcmV0"}"#).unwrap_err(), "it is binary, text is wanted");
}

#[test]
fn a_refusal_is_told_by_its_name_and_reason() {
    for (body, told) in [
        (r#"{"__type":"AccessDeniedException","Message":"no"}"#, "AccessDeniedException: no"),
        (
            r#"{"__type":"com.amazonaws.x#ResourceNotFoundException:http://y","message":"gone"}"#,
            "ResourceNotFoundException: gone",
        ),
        (r#"{"__type":"ThrottlingException"}"#, "ThrottlingException: no reason is given"),
    ] {
        assert_eq!(of(400, body).unwrap_err(), told);
    }
}

#[test]
fn nothing_is_repeated_of_an_answer_that_is_not_understood() {
    for (status, body) in [
        (200, "s3cret"),
        (200, r#"{"SecretString":["s3cret"]}"#),
        (200, r#"{"SecretString":"s3cret"#),
        (200, r#"{"Secret":"s3cret"}"#),
        (302, "s3cret"),
        (500, "<html>s3cret"),
        (400, r#"{"SecretString":"s3cret"}"#),
    ] {
        assert_eq!(of(status, body).unwrap_err(), "the answer is not Secrets Manager's", "{body}");
    }
}
