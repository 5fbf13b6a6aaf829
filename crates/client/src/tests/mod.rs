//! Engines against a small server in memory.

mod account;
mod attacks;
mod clock;
mod conversation;
mod crash;
mod delivery;
mod downgrade;
mod files;
mod moving;
mod names;
mod notices;
mod origins;
mod own_devices;
mod people;
mod put_back;
mod receipts;
mod repair;
mod strangers;
mod trust;
mod whose_words;

#[test]
fn an_engine_and_its_futures_move_between_threads() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let mut world = crate::testing::World::new(90);
    let person = world.person();
    let engine = world.engine(person);
    store::block_on(is_send(engine.handle_bytes(b""))).unwrap();
    assert!(store::block_on(is_send(engine.command(crate::Command::Contacts))).is_err());
    assert_eq!(is_send(engine).next_timeout(), None);
}
