//! A server and a client on loopback: no DNS, no authority, only the pin that a link would carry.

use waxwing_net::certificate::Pin;
use waxwing_net::dial::{Dialler, Endpoint, Mode, Target};
use waxwing_net::dns::Names;
use waxwing_net::identity::{Identity, OwnCa, ReloadableIdentity, generate_key_pem};
use waxwing_net::listen::{Gate, Listener, PRE_AUTH_TIME};
use waxwing_net::tls::{ClientTls, Purpose, ServerTls};
use waxwing_net::{Service, clock::SystemClock, verify::Trust};
use xmpp::time::Clock as _;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Outcome {
    let key = generate_key_pem()?;
    let chain = OwnCa::generate("north.example", SystemClock.now())?.issue("north.example", &key, SystemClock.now())?;
    let identity = Identity::from_pem(&chain, &key)?;
    let pin = identity.pin().to_text();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Gate::default()).await?;
    let port = listener.local_address().ok_or("not bound")?.port();
    let server = ServerTls::new(Purpose::XmppClients, ReloadableIdentity::new(identity));
    tokio::try_join!(serve(listener, server), ask(&pin, port)).map(|_| ())
}

async fn serve(listener: Listener, tls: ServerTls) -> Outcome {
    let arrived = listener.accept().await.admit(PRE_AUTH_TIME).await;
    let (connection, _admission) = arrived.ok_or("not let in")?;
    let (mut connection, _facts) = connection.accept_tls(&tls, 0).await?;
    let heard = connection.read_chunk().await?.ok_or("closed")?;
    Ok(connection.send(&heard).await?)
}

async fn ask(pin: &str, port: u16) -> Outcome {
    let tls = ClientTls::new(Service::Client, Trust::pins([Pin::parse(pin).ok_or("no pin")?]));
    let target = Target::new("north.example", Service::Client).at([Endpoint::new("127.0.0.1", port, Mode::DirectTls)]);
    let mut link = Dialler::direct(Names::system()).connect_link(&target, &tls, None).await?;
    link.connection.send(b"hello").await?;
    println!("{:?} came back over {:?}", link.connection.read_chunk().await?, link.facts.map(|facts| facts.version));
    Ok(())
}
