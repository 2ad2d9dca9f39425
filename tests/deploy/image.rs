//! What the images are built from: no container engine is needed to see that a crate is left out.

use crate::read;

#[test]
fn every_member_of_the_workspace_is_there_when_an_image_is_built() {
    let (workspace, dockerfile) = (read("Cargo.toml"), read("Dockerfile"));
    let members = workspace.lines().find_map(|line| line.strip_prefix("members = [")?.strip_suffix(']'));
    let members: Vec<&str> = members.expect("one line").split(", ").map(|member| member.trim_matches('"')).collect();
    assert!(members.contains(&"otodoke"), "{members:?}");
    for member in members {
        let copied = format!("COPY {member} {member}");
        assert!(dockerfile.lines().any(|line| line == copied), "cargo reads {member}/Cargo.toml: {copied}");
    }
}
