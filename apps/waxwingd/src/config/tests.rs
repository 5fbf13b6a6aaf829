//! The settings file against its documented example and against mistakes.

use super::*;

const EXAMPLE: &str = include_str!("../../../../docs/waxwingd.toml");

/// The example with every setting that it only mentions (`#name = value`) switched on.
fn everything() -> String {
    let is_setting = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase()) || rest.starts_with('[');
    let line = |line: &'static str| line.strip_prefix('#').filter(|rest| is_setting(rest)).unwrap_or(line);
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_shows_the_defaults() {
    let example: File = toml::from_str(EXAMPLE).expect("the example is a settings file");
    assert_eq!(example, File::default());
}

#[test]
fn the_example_shows_every_setting() {
    let shown: toml::Table = toml::from_str(&everything()).expect("the example is TOML");
    toml::from_str::<File>(&everything()).expect("everything in it is a setting");
    let fields = |table: &toml::Table| table.len();
    // `Debug` of a struct names each of its fields once.
    let known = |text: String| text.matches(": ").count();
    let section = |name: &str| fields(shown[name].as_table().expect("a section"));
    let default = File::default();
    assert_eq!(section("limits"), known(format!("{:?}", default.limits)));
    assert_eq!(section("federation"), known(format!("{:?}", default.federation)));
    assert_eq!(section("registration"), known(format!("{:?}", default.registration)));
    assert_eq!(section("ports"), known(format!("{:?}", default.ports)));
    assert_eq!(section("login"), known(format!("{:?}", default.login)));
    assert_eq!(section("certificate"), 2);
    assert_eq!(shown.len(), 10, "every field of the file itself");
}

#[test]
fn mistakes_are_named_with_their_line() {
    let directory = std::env::temp_dir().join(format!("waxwingd-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("made");
    let path = directory.join("waxwingd.toml");
    let read_text = |text: &str| {
        std::fs::write(&path, text).expect("written");
        read(&path, &mut Settings::in_memory()).map_err(|error| error.to_string())
    };
    for (text, word) in [
        ("dommain = \"x\"", "dommain"),
        ("[limits]\noffline_bites = 1", "offline_bites"),
        ("[e2ee]\npolicy = \"sometimes\"", "sometimes"),
        ("[certificate]\nchain = \"x.pem\"", "key"),
        ("listen = \"everywhere\"", "listen"),
        ("[federation]\nca_file = \"nothing.pem\"", "nothing.pem"),
    ] {
        let error = read_text(text).expect_err(text);
        assert!(error.contains(word), "{text}: {error}");
    }
    assert_eq!(read_text(EXAMPLE), Ok(()));
    std::fs::remove_dir_all(&directory).expect("removed");
    assert!(read(&path, &mut Settings::in_memory()).is_err());
}

#[test]
fn settings_arrive() {
    let file: File = toml::from_str(
        "domain = \"example.org\"\nlisten = \"127.0.0.1\"\n[ports]\nhttps = 443\n[e2ee]\npolicy = \"off\"\n\
         [certificate]\nchain = \"chain.pem\"\nkey = \"/etc/key.pem\"\n[limits]\npre_auth_per_network = 0\n\
         offline_days = 3\n[federation]\nenabled = false\ndns = \"127.0.0.1:5353\"\n",
    )
    .expect("read");
    let mut settings = Settings::in_memory();
    file.apply(Path::new("/etc/waxwingd"), &mut settings);
    assert_eq!(settings.domain.as_deref(), Some("example.org"));
    assert_eq!((settings.ports.client, settings.ports.https), (5222, 443));
    assert_eq!(settings.policy, E2eePolicy::Off);
    let certificate = settings.certificate.expect("set");
    assert_eq!(certificate.chain, Path::new("/etc/waxwingd/chain.pem"));
    assert_eq!(certificate.key, Path::new("/etc/key.pem"));
    assert_eq!(settings.pre_auth_per_network, None);
    assert_eq!(settings.limits.offline_age, Duration::from_secs(3 * 86_400));
    assert!(!settings.federation.is_enabled);
    assert_eq!(settings.federation.dns, Some(([127, 0, 0, 1], 5353).into()));
}
