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
    assert_eq!(section("onion"), known(format!("{:?}", default.onion)));
    assert_eq!(shown.len(), 12, "every field of the file itself");
}

/// What stands above each setting, in `#` lines and behind it.
fn explanations() -> Vec<(String, String)> {
    let (mut section, mut words, mut found) = (String::new(), String::new(), Vec::new());
    for line in EXAMPLE.lines() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        if line.is_empty() {
            words.clear();
        } else if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            words.clear();
        } else if let Some(text) = line.strip_prefix("# ") {
            words = format!("{words} {text}");
        } else if let Some((name, value)) = bare.split_once(" = ") {
            let behind = value.split_once(" # ").map_or("", |(_, words)| words);
            let name = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
            found.push((name, format!("{words} {behind}").trim().to_owned()));
            words.clear();
        }
    }
    found
}

#[test]
fn the_example_explains_every_setting_with_its_range() {
    let explained = explanations();
    let words = |name: &str| explained.iter().find(|(known, _)| known == name).map(|(_, words)| words.as_str());
    for (name, words) in &explained {
        assert!(words.split(' ').count() >= 3, "{name} has no explanation");
    }
    for (name, _) in ranges::numbers(&File::default()) {
        let range = ranges::RANGES.iter().find(|range| range.name == name);
        let range = range.unwrap_or_else(|| panic!("{name} has no range"));
        let words = words(&name).unwrap_or_else(|| panic!("{name} is not in the example"));
        if !name.starts_with("ports.") {
            assert!(
                words.contains(&format!("({})", range.words())),
                "{name}: ({}) is missing in: {words}",
                range.words()
            );
        }
    }
    for range in ranges::RANGES {
        assert!(ranges::numbers(&File::default()).iter().any(|(name, _)| name == range.name), "{} is none", range.name);
    }
}

#[test]
fn what_cannot_work_is_named_with_what_is_allowed() {
    let problems = |text: &str| ranges::problems(&toml::from_str(text).expect("well-formed"));
    for (text, words) in [
        ("[login]\nscram_iterations = 1", "[login] scram_iterations is 1, and must be 4096 to 1000000"),
        ("[login]\nscram_iterations = 4294967295", "must be 4096 to 1000000"),
        ("[registration]\ninvite_days = 0", "[registration] invite_days is 0, and must be 1 to 365"),
        ("[limits]\nnew_domain_divisor = 0", "[limits] new_domain_divisor is 0, and must be 1 to 1000"),
        ("[limits]\nclient_bytes_per_second = 1", "must be 4096 to 1073741824, or 0 for no bound"),
        ("[limits]\noffline_days = 18446744073709", "offline_days"),
        ("[limits]\nupload_bytes = 3000000000", "more than upload_bytes_per_day"),
        ("[ports]\nclient = 5269", "[ports] client and [ports] server are both 5269"),
        ("domain = \"192.0.2.1\"", "domain is"),
        ("announce = [\"good.example\", \"no host!\"]", "\"no host!\""),
        ("[registration]\nreserved_names = [\"a@b\"]", "\"a@b\""),
        ("[federation]\ndeny = [\"Bad.Example\"]", "write it as \"bad.example\""),
        ("[federation]\nallow = [\"@\"]", "not a domain"),
        ("[federation]\npeers = [\"xmpp:north.example\"]", "link 1 is not a peer link"),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains(words), "{text}: {found:?}");
    }
    for fine in
        ["", "[limits]\npre_auth_per_network = 0\nclient_stanzas_per_second = 0", "[ports]\nclient = 0\nhttps = 0"]
    {
        assert_eq!(problems(fine), Vec::<String>::new(), "{fine}");
    }
    assert_eq!(problems("[login]\nscram_iterations = 1\n[registration]\ninvite_days = 0").len(), 2, "all at once");
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
        ("proxies = [\"10.0.0.0/40\"]", "this is no network"),
        ("[federation]\nnetworks = [\"office\"]", "this is no network"),
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
