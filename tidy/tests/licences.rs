//! Every dependency's licence is one that deny.toml allows.

use std::collections::BTreeSet;
use std::fs;

use cargo_metadata::MetadataCommand;
use spdx::expression::ExpressionReq;

#[test]
fn every_dependency_has_an_allowed_licence() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let deny: toml::Table =
        fs::read_to_string(format!("{root}/deny.toml")).unwrap().parse().unwrap();
    let allowed: BTreeSet<String> = deny["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|licence| licence.as_str().unwrap().to_owned())
        .collect();
    let metadata =
        MetadataCommand::new().manifest_path(format!("{root}/Cargo.toml")).exec().unwrap();
    let foreign = metadata.packages.iter().filter(|package| package.source.is_some());
    let mut checked = 0;
    for package in foreign {
        let licence =
            package.license.as_deref().unwrap_or_else(|| panic!("{} says none", package.name));
        let expression = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX)
            .unwrap_or_else(|error| panic!("{}: {licence}: {error}", package.name));
        let fits = |required: &ExpressionReq| allowed.contains(&required.req.to_string());
        let ok = expression.evaluate(|required| allowed.contains(&required.to_string()));
        let unmet: Vec<_> = expression.requirements().filter(|r| !fits(r)).collect();
        assert!(ok, "{} {}: {licence} is not allowed ({unmet:?})", package.name, package.version);
        checked += 1;
    }
    assert!(checked > 30, "only {checked} dependencies were found");
}
