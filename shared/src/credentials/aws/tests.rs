mod signature {
    //! Against what AWS publishes (`aws-signing-test-suite/v4`, whose keys are public), and against AWS's own `aws-sigv4`.

    use super::super::super::aws::{Identity, Keys};
    use super::super::{Signer, add, timestamp};
    use crate::clock::Moment;
    use aws_credential_types::Credentials;
    use aws_sigv4::http_request::{
        SignableBody, SignableRequest, SignatureLocation, SigningParams, SigningSettings, sign,
    };
    use aws_sigv4::sign::v4;
    use proptest::prelude::{Strategy, prop_assert, proptest};
    #[cfg(feature = "secrets-manager")]
    use proptest::prelude::{any, prop_assert_eq};
    use std::time::{Duration, UNIX_EPOCH};

    const HOST: &str = "example.amazonaws.com";

    fn identity(token: Option<&str>) -> Identity {
        let keys = Keys {
            id: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            token: token.map(str::to_owned),
        };
        Identity { keys, region: "us-east-1".to_owned() }
    }

    fn at(seconds: u64) -> Moment {
        Moment::new(Duration::ZERO, Duration::from_secs(seconds))
    }

    /// 2015-08-30T12:36:00Z, of the whole suite.
    fn then() -> Moment {
        at(1_440_938_160)
    }

    #[test]
    fn a_presigned_request_is_the_one_that_aws_publishes() {
        let identity = identity(None);
        let signer = Signer::new(&identity, "service", then());
        let url = signer.presigned(HOST, &[("Param1", "value1"), ("Param2", "value2")], Duration::from_hours(1));
        let expected = "example.amazonaws.com/?Param1=value1&Param2=value2&X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request&X-Amz-Date=20150830T123600Z\
        &X-Amz-Expires=3600&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5";
        assert_eq!(url, expected);
    }

    #[test]
    fn a_session_token_is_signed_too_as_aws_publishes() {
        let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
        let identity = identity(Some(token));
        let signed = Signer::new(&identity, "service", then()).presigned(HOST, &[], Duration::from_hours(1));
        let signature = "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c";
        let end = format!("&X-Amz-Security-Token={token}&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}");
        assert!(signed.ends_with(&end), "{signed}");
    }

    #[test]
    fn headers_and_body_are_signed_as_aws_publishes() {
        let identity = identity(None);
        let signer = Signer::new(&identity, "service", then());
        let of = |headers: &[(&str, &str)], body: &str| signer.sign("POST", "", headers, body.as_bytes()).1;
        let (host, date) = (("host", HOST), ("x-amz-date", "20150830T123600Z"));
        // post-vanilla, post-header-value-case and post-x-www-form-urlencoded
        let vanilla = of(&[host, date], "");
        assert_eq!(vanilla, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
        let case = of(&[host, ("my-header1", "VALUE1"), date], "");
        assert_eq!(case, "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d");
        let sum = ("x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e");
        let form = ("content-type", "application/x-www-form-urlencoded");
        let form = of(&[("content-length", "13"), form, host, sum, date], "Param1=value1");
        assert_eq!(form, "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b");
    }

    #[test]
    fn a_time_is_told_to_the_second_in_utc() {
        for (seconds, told) in
            [(0, "19700101T000000Z"), (1_440_938_160, "20150830T123600Z"), (1_709_251_199, "20240229T235959Z")]
        {
            assert_eq!(timestamp(at(seconds)), told);
        }
    }

    /// What `aws-sigv4` makes of a request: its query signed, or its headers.
    fn theirs(
        identity: &Identity,
        service: &str,
        time: u64,
        settings: SigningSettings,
        request: SignableRequest<'_>,
    ) -> String {
        let Keys { id, secret, token } = identity.keys.clone();
        let credentials = Credentials::new(id, secret, token, None, "test").into();
        let params: SigningParams<'_> = v4::SigningParams::builder()
            .identity(&credentials)
            .region(&identity.region)
            .name(service)
            .time(UNIX_EPOCH + Duration::from_secs(time))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        sign(request, &params).unwrap().signature().to_owned()
    }

    fn identities() -> impl Strategy<Value = Identity> {
        let token = proptest::option::of("[!-~]{1,120}");
        ("[A-Z0-9]{16,20}", "[!-~]{1,60}", token, "[a-z]{2}-[a-z]{4,9}-[1-9]")
            .prop_map(|(id, secret, token, region)| Identity { keys: Keys { id, secret, token }, region })
    }

    proptest! {
        #[test]
        fn any_query_is_signed_as_awss_own_library_does(
            identity in identities(),
            service in "[a-z]{1,12}",
            time in 0..4_000_000_000_u64,
            values in (r"\PC{0,20}", "[ -~]{0,20}"),
            seconds in 1..604_800_u64,
        ) {
            let (query, ttl) = ([("Action", values.0.as_str()), ("User", values.1.as_str())], Duration::from_secs(seconds));
            let ours = Signer::new(&identity, &service, at(time)).presigned(HOST, &query, ttl);
            let mut text = String::new();
            for (name, value) in query {
                add(&mut text, name, value);
            }
            let mut settings = SigningSettings::default();
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(ttl);
            let url = format!("http://{HOST}/?{text}");
            let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::empty()).unwrap();
            let theirs = theirs(&identity, &service, time, settings, request);
            prop_assert!(ours.ends_with(&format!("&X-Amz-Signature={theirs}")), "{ours} {theirs}");
        }

        #[cfg(feature = "secrets-manager")]
        #[test]
        fn any_body_is_signed_as_awss_own_library_does(
            identity in identities(),
            service in "[a-z]{1,12}",
            time in 0..4_000_000_000_u64,
            target in "[!-~]{1,30}",
            body in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let given = [("content-type", "application/x-amz-json-1.1"), ("host", HOST)];
            let signed = Signer::new(&identity, &service, at(time)).headers(&given, &target, &body);
            let ours = signed.iter().find(|(name, _)| *name == "authorization").unwrap();
            let headers = given.into_iter().chain([("x-amz-target", target.as_str())]);
            let url = format!("https://{HOST}/");
            let request = SignableRequest::new("POST", url, headers, SignableBody::Bytes(&body)).unwrap();
            let theirs = theirs(&identity, &service, time, SigningSettings::default(), request);
            let tail = ours.1.split_once("Signature=").unwrap().1;
            prop_assert_eq!(tail, theirs);
        }
    }
}
