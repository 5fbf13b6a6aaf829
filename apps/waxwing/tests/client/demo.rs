//! The demonstration, as everybody can run it.

use crate::harness::Person;
use waxwing::cli::Exit;

/// Words of the craft that a reader need not know.
const FORBIDDEN: [&str; 5] = ["key", "fingerprint", "omemo", "device id", "trust"];

#[tokio::test(flavor = "multi_thread")]
async fn the_demonstration_proves_what_it_says_and_leaves_nothing() {
    let reader = Person::new();
    let ran = reader.run(&["demo"]).await;
    assert_eq!(ran.exit, Exit::Ok, "{ran:?}");
    assert!(ran.out.contains("\n0 readable bytes: nobody in between could read along."), "{}", ran.out);
    assert_eq!(ran.out.matches(" 0 readable bytes in ").count(), 3, "{}", ran.out);
    for word in FORBIDDEN {
        assert!(!ran.out.to_lowercase().contains(word), "{word}: {}", ran.out);
    }
    let objects = reader.json(&["demo"]).await;
    let verdict = objects.last().expect("a verdict");
    assert_eq!((&verdict["kind"], &verdict["proof"]["holds"]), (&"verdict".into(), &true.into()), "{verdict}");
    for place in verdict["proof"]["places"].as_array().expect("places") {
        assert_eq!((&place["readable_bytes"], &place["control_found"]), (&0.into(), &true.into()), "{place}");
        assert!(place["bytes"].as_u64().is_some_and(|bytes| bytes > 50_000), "{place}");
    }
    assert!(verdict["proof"]["places"][1]["addresses_seen"].as_u64().is_some_and(|count| count > 0));
    assert!(std::fs::read_dir(&reader.home.0).expect("there").next().is_none(), "the profile was not touched");
}
