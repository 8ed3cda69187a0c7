mod connection {
    use super::super::*;

    impl Link {
        /// A link to this URL's server with the login in it.
        pub(crate) fn to(url: &str) -> Self {
            let config =
                Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| format!("a={url}").into())).unwrap();
            let login = Logins::new(&config).login(&config.shards[0]).unwrap();
            Self::new(&config.shards[0].endpoint, Arc::new(login), &config).unwrap()
        }
    }

    #[test]
    fn another_node_of_a_cluster_is_spoken_to_as_the_first() {
        for url in ["redis://app:pw@seed:7000", "rediss://app:pw@seed:7000"] {
            let seed = Link::to(url);
            let other = seed.beside("::1", 7001);
            let [one, two] = [&seed, &other].map(|link| link.client.get_connection_info());
            assert_eq!((other.address(), seed.address()), (("::1", 7001), ("seed", 7000)));
            assert!(Arc::ptr_eq(&seed.login, &other.login));
            assert_eq!(format!("{:?}", one.tcp_settings()), format!("{:?}", two.tcp_settings()));
            assert_eq!(matches!(two.addr(), ConnectionAddr::TcpTls { insecure: false, .. }), url.starts_with("rediss"));
            assert_eq!((seed.tls, seed.connect_timeout), (other.tls, other.connect_timeout));
        }
    }
}
