//! What the program is made of.

use std::process::Command;

/// Builds of the whole workspace unify features, so this asks for the program alone, as releases are built.
#[test]
fn the_broker_has_no_way_to_decrypt_messages() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "waxwingd", "--edges", "features,normal,build", "--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("text");
    assert!(tree.contains("waxwing-crypto feature \"seal\""), "{tree}");
    for banned in ["feature \"e2e\"", "curve25519-dalek", "x25519-dalek", "ring v", "native-tls", "openssl v"] {
        let found = tree.lines().find(|line| line.contains(banned));
        assert_eq!(found, None, "{banned}");
    }
}
