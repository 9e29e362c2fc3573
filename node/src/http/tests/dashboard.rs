//! The dashboard's files: all there, and of here.

use std::collections::BTreeSet;
use std::fs;

use super::super::dashboard::{FILES, PAGE, POLICY};
use super::fake::{Answers, Fake};

#[tokio::test]
async fn every_file_of_the_dashboard_is_served_under_a_policy_that_keeps_it_here() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboard");
    let fake = Fake::new(Answers::default());
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let names: BTreeSet<String> = entries.map(|it| it.file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), FILES.len() + 1, "{names:?}");
    for name in names {
        let path = if name == "index.html" { "/".to_owned() } else { format!("/dashboard/{name}") };
        let said = fake.call("GET", &path).await;
        assert_eq!(said.status, 200, "{path}");
        assert_eq!(said.body, fs::read(format!("{folder}/{name}")).unwrap(), "{path}");
        assert_eq!(said.header("content-security-policy"), Some(POLICY));
        assert_eq!(said.header("x-content-type-options"), Some("nosniff"));
    }
    let again = fake.call("GET", "/dashboard").await;
    assert_eq!(again.header("content-type"), Some("text/html; charset=utf-8"));
}

#[test]
fn no_file_names_another_place_or_makes_markup_of_what_it_is_told() {
    for (path, _, text) in FILES.iter().chain([&("/", "", PAGE)]) {
        // Names of the format of pictures, and the addresses of other members.
        let known = text.replace("http://www.w3.org/", "").replace("${location.protocol}//", "");
        assert!(!known.contains("://"), "{path}");
        assert!(!text.contains("style=\"") && !text.contains("onclick"), "{path}");
        assert!(!text.contains("innerHTML"), "{path}");
    }
}
