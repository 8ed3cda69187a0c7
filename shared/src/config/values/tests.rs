mod endpoints {
    use super::super::shards;
    use crate::shard::PasswordSource;

    #[test]
    fn a_list_gives_its_shards_in_order_each_with_options_in_any_order() {
        let list = "b=redis://h1;weight=0, a = redis://:pw@h2:7071/3 ; weight = 16\n,c=redis://h1,\
                    d=redis://app@h;password-file=/p=1;weight=2,e=redis://h; weight=2 ; password-file = /q,\
                    f=redis://h;password-file=/r;cluster;weight=2,g=redis://h;cluster;weight=2;password-file=/r";
        let shards = shards(list).unwrap();
        for (shard, (name, endpoint, weight, file, cluster)) in shards.iter().zip([
            ("b", "redis://h1:6379/0", 0, None, false),
            ("a", "redis://:***@h2:7071/3", 16, None, false),
            ("c", "redis://h1:6379/0", 1, None, false),
            ("d", "redis://app@h:6379/0", 2, Some("/p=1"), false),
            ("e", "redis://h:6379/0", 2, Some("/q"), false),
            ("f", "redis://h:6379/0", 2, Some("/r"), true),
            ("g", "redis://h:6379/0", 2, Some("/r"), true),
        ]) {
            assert_eq!((shard.name.to_string(), shard.weight.get()), (name.to_owned(), weight));
            assert_eq!(shard.endpoint.is_cluster(), cluster, "{name}");
            assert!(cluster || shard.endpoint.to_string() == endpoint, "{name}: {}", shard.endpoint);
            let source = file.map_or(PasswordSource::Url, |path| PasswordSource::File(path.into()));
            assert_eq!(shard.password, source, "{name}");
        }
        assert_eq!(
            (shards.len(), &shards[0].endpoint, &shards[5].endpoint),
            (7, &shards[2].endpoint, &shards[6].endpoint)
        );
        assert_ne!(shards[4].endpoint, shards[5].endpoint, "a cluster is another endpoint than a server");
    }

    #[test]
    fn every_wrong_entry_is_told_by_its_number() {
        let message = shards("a=redis://h,b=http://h,,c d=redis://h,e,f=redis://h;weight=17").unwrap_err();
        for part in [
            "entry 2: the URL's scheme",
            "entry 3: it is empty",
            "entry 4: a name",
            "entry 5: it is not name=url",
            "entry 6: a weight",
        ] {
            assert!(message.contains(part) && !message.contains("entry 1"), "{part}: {message}");
        }
    }

    #[test]
    fn nothing_but_known_options_that_fit_follows_the_url_and_the_ring_can_place_the_shards() {
        let known = "only ;weight=N, ;cluster and one of ;password-file";
        let weights = [";", ";weight", ";wait=1", ";weight=1;weight=2", ";weight=1;", ";WEIGHT=1"];
        let clusters = [";cluster=1", ";cluster=", ";cluster;cluster", ";clusters"];
        let options = weights.into_iter().chain(clusters).chain([";password=x", ";password-file", ";iam"]);
        for (list, told) in options.map(|options| (format!("a=redis://h{options}"), known)).chain(
            [
                ("a=rediss://app@h;password-file=/p;password-file=/p", "comes from one place"),
                ("a=rediss://app@h;password-file=/p;cluster;iam=c", "comes from one place"),
                ("a=redis://app@h;iam=cache", "rediss://"),
                ("a=redis://h/1;cluster", "entry 1: a cluster has database 0 only"),
                ("a=redis://h/10;cluster", "entry 1: a cluster has database 0 only"),
                ("a=redis://h,a=redis://g", "name a is given twice"),
                ("a=redis://h;weight=0,b=redis://g;weight=0", "weight 0"),
            ]
            .map(|(list, told)| (list.to_owned(), told)),
        ) {
            let message = shards(&list).unwrap_err();
            assert!(message.contains(told), "{list}: {message}");
        }
        assert!(shards("a=redis://h/0;cluster").is_ok());
    }
}

mod access {
    use super::super::{Origins, PagePatterns};

    #[test]
    fn a_pattern_allows_what_it_says_and_nothing_else() {
        let table = [
            ("*", "anything/é", true),
            ("home", "home", true),
            ("home", "home/", false),
            ("blog/*", "blog/", true),
            ("blog/*", "blog", false),
            ("*.html", "a/b.html", true),
            ("*.html", "a.html?", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a, b", "b", true),
            ("/blog/*", "blog/first", true),
            ("/blog/*", "/blog/first", true),
            ("/", "/", true),
            ("/", "home", false),
            ("**", "", true),
        ];
        for (patterns, page, allowed) in table {
            assert_eq!(patterns.parse::<PagePatterns>().unwrap().allow(page), allowed, "{patterns} {page}");
        }
    }

    #[test]
    fn an_origin_is_read_as_browsers_write_it() {
        let read = "HTTPS://Example.org , http://localhost:8080,https://a.test:443/".parse::<Origins>();
        let expected = ["https://example.org", "http://localhost:8080", "https://a.test"].map(str::to_owned);
        assert_eq!(read, Ok(Origins::Only(expected.to_vec())));
    }

    #[test]
    fn an_origin_may_stand_for_all_subdomains_of_a_host() {
        let origins: Origins = "https://*.Example.org:443,http://*.a.test:8080,https://*.bücher.test".parse().unwrap();
        for (origin, allowed) in [
            ("https://www.example.org", true),
            ("https://a.b-c_d.example.org", true),
            ("http://x.a.test:8080", true),
            ("https://x.xn--bcher-kva.test", true),
            ("https://example.org", false),
            ("http://www.example.org", false),
            ("https://www.example.org:8443", false),
            ("http://x.a.test", false),
            ("https://.example.org", false),
            ("https://evil.test/.example.org", false),
            ("https://evil.test:443.example.org", false),
            ("https://u@evil.test?.example.org", false),
            ("https://www.example.org.evil.test", false),
            ("https://wwwexample.org", false),
            ("https://*.example.org", false),
        ] {
            assert_eq!(origins.allow(origin), allowed, "{origin}");
        }
    }

    #[test]
    fn what_no_browser_will_ever_send_is_refused_at_the_start_with_what_is_accepted() {
        for (wrong, reason) in [
            ("https://*", "a * stands alone"),
            ("https://a.test,*", "an entry is no origin"),
            ("https://www.*.test", "a * stands alone"),
            ("https://*.*.test", "a * stands alone"),
            ("https://*www.a.test", "a * stands alone"),
            ("https://%2a.a.test", "a * stands alone"),
            ("*.a.test", "an entry is no origin"),
            ("*://a.test", "an entry is no origin"),
            ("http://localhost:*", "an entry is no origin"),
            ("https://*.192.0.2.1", "a host's name"),
            ("https://*.[::1]", "a host's name"),
            ("https://*.a.test/x", "ends behind its host"),
            ("https://a.test.", "without a dot"),
            ("", "an entry is no origin"),
            ("null", "an entry is no origin"),
            ("ftp://a.test", "begins with http:// or https://"),
            ("https://a.test?q", "ends behind its host"),
            ("https://u@a.test", "ends behind its host"),
        ] {
            let told = wrong.parse::<Origins>().unwrap_err();
            assert!(told.contains(reason), "{wrong}: {told}");
        }
    }
}

mod metrics {
    use super::super::metrics_namespace as namespace;

    #[test]
    fn a_namespace_is_taken_as_it_is_and_off_is_none() {
        assert_eq!(namespace("off"), Ok(None));
        for text in ["VisitCounter/my-stack", "a.b_c#d:e", "AWS", "OFF", &"n".repeat(255)] {
            assert_eq!(namespace(text).unwrap().unwrap(), text);
        }
    }

    #[test]
    fn what_cloudwatch_would_refuse_is_refused_with_the_reason() {
        let long = "n".repeat(256);
        for (text, reason) in [
            ("on", "name one"),
            ("my stack", "character"),
            ("a\"b", "character"),
            ("café", "character"),
            (":a", "colon"),
            ("AWS/Lambda", "Amazon"),
            (&long, "too long"),
        ] {
            assert!(namespace(text).unwrap_err().contains(reason), "{text}");
        }
    }
}

mod ca_file {
    use super::super::*;
    use test_support::CertificateAuthority;

    fn of(content: impl AsRef<[u8]>) -> Result<Option<CaCertificates>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, content).unwrap();
        ca_certificates(file.path().to_str().unwrap())
    }

    #[test]
    fn a_file_with_certificates_and_text_around_them_is_taken_as_it_is() {
        let (one, two) = (CertificateAuthority::new().pem(), CertificateAuthority::new().pem());
        for content in [one.clone(), format!("# The first\n{one}\n# The second\n{two}"), one.replace('\n', "\r\n")] {
            assert_eq!(of(&content).unwrap().unwrap().pem(), content);
        }
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        for content in ["", "\n", "no certificate", key] {
            assert!(of(content).unwrap_err().contains("no certificate in PEM"), "{content}");
        }
        assert_eq!(of([0x30, 0x82, 0xff]).unwrap_err(), "the file is not text");
    }

    #[test]
    fn one_broken_certificate_spoils_the_file_and_is_told_by_its_number() {
        let pem = CertificateAuthority::new().pem();
        let no_end = &pem[..pem.len() / 2];
        let no_certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let no_base64 = pem.replacen("\nM", "\n*", 1);
        for broken in [no_end, no_certificate, &no_base64] {
            let reason = of(format!("{pem}{broken}")).unwrap_err();
            assert!(reason.starts_with("certificate 2 of the file is broken: "), "{broken}: {reason}");
        }
    }

    #[test]
    fn what_is_no_file_of_a_sensible_size_is_refused() {
        assert!(ca_certificates("/no/such/file").unwrap_err().starts_with("the file cannot be read: No such file"));
        assert_eq!(ca_certificates("/").unwrap_err(), "it is not a file");
        assert_eq!(of("#".repeat((1 << 20) + 1)).unwrap_err(), "the file is longer than 1048576 bytes");
        assert!(ca_certificates(&CertificateAuthority::new().pem()).unwrap_err().contains("the path of a file"));
    }

    #[cfg(unix)]
    #[test]
    fn a_named_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(ca_certificates(pipe.to_str().unwrap()).unwrap_err(), "it is not a file");
    }

    #[test]
    fn what_the_file_holds_is_never_shown() {
        let pem = CertificateAuthority::new().pem();
        let secret = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        let shown = format!("{:?}", of(format!("{pem}{secret}")).unwrap());
        assert_eq!(shown, "Some(CaCertificates { .. })");
    }
}
