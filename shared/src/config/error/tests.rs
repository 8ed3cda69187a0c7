mod mask {
    use super::super::masked;
    use proptest::prelude::{prop_assert, proptest};

    #[test]
    fn passwords_are_masked_and_the_rest_is_shown() {
        let table = [
            ("a=redis://h1:7070,b=rediss://h2/x", "a=redis://h1:7070,b=rediss://h2/x"),
            ("a=redis://app:pw@h:7070/0;weight=2", "a=redis://app:***@h:7070/0;weight=2"),
            ("a=redis://:pw@h, b=redis://:pw@g", "a=redis://:***@h, b=redis://:***@g"),
            ("a=redis://[::1]:7070/0", "a=redis://[::1]:7070/0"),
            ("a=redis://h:7070;weight=99", "a=redis://h:7070;weight=99"),
            (
                "a=rediss://h;iam=c,b=rediss://app@h:1;password-file=/p",
                "a=rediss://h;iam=c,b=rediss://***@h:1;password-file=/p",
            ),
            (
                "a=rediss://h:1;password-secret=arn:aws:x:1:y/z#k;weight=99",
                "a=rediss://h:1;password-secret=arn:aws:x:1:y/z#k;weight=99",
            ),
            ("5 parsecs", "5 parsecs"),
            ("arn:aws:lambda:eu-west-1:1:function:f/", "arn:aws:lambda:eu-west-1:1:function:f/"),
        ];
        for (value, shown) in table {
            assert_eq!(masked(value), shown);
        }
    }

    #[test]
    fn a_password_is_masked_even_where_the_value_is_no_url() {
        let values = [
            "a=redis://app:SECRET@h:notaport",
            "a=redis://app:x@SECRET@h",
            "a=redis://app:x,SECRET/x?SECRET#SECRET@h",
            "a=redis://app:x,SECRET=x@h,b=redis://g",
            "a=redis://app:SECRET://SECRET@h",
            "a=redis://app:SECRET",
            "a=redis://SECRET@h",
            "a=app:SECRET@h",
            "app:SECRET@h://",
            ":SECRET=x@h",
            "a=redis:/app:SECRET@h",
            "a=://:SECRET@",
            "a=redis://[:SECRET@h",
            "a=redis://h?password=SECRET",
            "a=redis://u@h?password=SECRET",
            "a=redis://h,b=app:SECRET@g",
            "redis://:SECRET@é",
            "a=redis://SECRET@h,b c=redis://u:p@g",
            "a=redis://h?password=SECRET,b c=redis://u:p@g",
            "a=redis://u:x,=://SECRET,x:x@h",
            "a=redis://h;password=SECRET",
            "a=redis://app:x@h;Password = SECRET;weight=1",
            "a=redis://h;pass=SECRET;weight=1",
            "a=redis://h;password-file=SECRET",
            "a=h;password-file=SECRET",
            ";password=SECRET",
            "a=redis://app:SECRET;password-secret=arn:aws",
            "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----",
        ];
        for value in values {
            assert!(!masked(value).contains("SECRET"), "{value} -> {}", masked(value));
        }
    }

    proptest! {
        #[test]
        fn any_password_between_a_scheme_and_a_host_is_masked(
            before in r"[ -~é]{0,12}", after in r"[ -~é]{0,12}", entries in 1..3_usize,
        ) {
            let list = vec![format!("a=redis://app:{before}SECRET{after}@h"); entries].join(",");
            prop_assert!(!masked(&list).contains("SECRET"), "{list} -> {}", masked(&list));
        }
    }
}
