//! The loop around the engine: one task that owns it, hands in what happens and carries out what it wants.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::command::{Login, Outcome, Password, Proof, Reply, RequestId};
use client::engine::Engine;
use client::event::{AccountState, MessageId};
use client::output::{Endpoint, HttpId, HttpMethod, HttpRequest, Output, SaveFile};
use client::{Command, CommandError, EngineError};
use net::clock::SystemClock;
use tokio::sync::{broadcast, mpsc, oneshot};
use xmpp::time::Clock as _;

use super::handle::{EVENTS_WAITING, Handle, Job, Leave, Running};
use super::line::{Line, Order, Report};
use super::network::{Network, authorities};
use super::profile::{Generation, Profile};
use super::{Home, Settings, downloads, web};
use crate::api::{self, Answer, Event, FileView, Kind, Refusal, Request};
use crate::words::refusals;

/// How long the engine sleeps at most; the wall clock may be set while it does.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// The most bytes that are read for sending.
const FILE_BYTES_MAX: u64 = client::files::FILE_BYTES_MAX;

/// How long what is under way may take when the program ends, and how often that is looked at.
const LEAVE_MAX: Duration = Duration::from_secs(3);
const LEAVE_STEP: Duration = Duration::from_millis(20);

type Answering = oneshot::Sender<Result<Answer, Refusal>>;

struct Shell {
    engine: Engine,
    generation: Generation,
    home: Home,
    line: Option<Line>,
    lines: u64,
    /// Since when it has been connecting, while it does.
    connecting_since: Option<Instant>,
    reports: mpsc::Sender<(u64, Report)>,
    web_reports: mpsc::UnboundedSender<web::Report>,
    /// Requests that the engine answers later.
    waiting: HashMap<RequestId, Answering>,
    /// Transfers under way: how large they are, for the progress.
    transfers: HashMap<HttpId, u64>,
    /// The files saved, by message, for the answers to the requests that fetched them.
    saved: HashMap<String, PathBuf>,
    /// Why the last file could not be saved.
    not_saved: String,
    /// The authority that a sign-in under way was given.
    login_ca: Option<(RequestId, PathBuf)>,
    events: broadcast::Sender<Event>,
}

/// Starts the loop.
pub(super) fn spawn(profile: Profile, home: Home) -> Running {
    let (jobs, asked) = mpsc::channel(16);
    let (events, _) = broadcast::channel(EVENTS_WAITING);
    let (stop, stopped) = oneshot::channel();
    let (reports, reported) = mpsc::channel(4);
    let (web_reports, web_reported) = mpsc::unbounded_channel();
    let shell = Shell {
        engine: profile.engine,
        generation: profile.generation,
        home,
        line: None,
        lines: 0,
        connecting_since: None,
        reports,
        web_reports,
        waiting: HashMap::new(),
        transfers: HashMap::new(),
        saved: HashMap::new(),
        not_saved: String::new(),
        login_ca: None,
        events: events.clone(),
    };
    // A thread of its own: the engine computes and writes to the disk, and its futures stay where they are.
    let (done, ended) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
        runtime.block_on(shell.run(asked, reported, web_reported, stopped));
        let _ = done.send(());
    });
    if thread.is_err() {
        tracing::error!("this machine has no thread left for the engine");
    }
    Running { handle: Handle { jobs, events }, stop, ended }
}

impl Shell {
    async fn run(
        mut self,
        mut asked: mpsc::Receiver<Job>,
        mut reported: mpsc::Receiver<(u64, Report)>,
        mut web_reported: mpsc::UnboundedReceiver<web::Report>,
        mut stopped: oneshot::Receiver<Leave>,
    ) {
        // Once it is to end in order, what is under way may end first, but not for long.
        let mut leaving: Option<Instant> = None;
        loop {
            self.settle().await;
            if leaving.is_some_and(|until| self.is_settled() || until <= Instant::now()) {
                break;
            }
            let sleep = if leaving.is_some() { LEAVE_STEP } else { self.sleep() };
            let handled = tokio::select! {
                leave = &mut stopped, if leaving.is_none() => match leave {
                    Ok(Leave::InOrder) => {
                        leaving = Some(Instant::now() + LEAVE_MAX);
                        Ok(())
                    }
                    _ => return,
                },
                Some(job) = asked.recv() => {
                    self.ask(job).await;
                    Ok(())
                }
                Some((number, report)) = reported.recv() => self.report(number, report).await,
                Some(report) = web_reported.recv() => self.web_report(report).await,
                () = tokio::time::sleep(sleep) => self.engine.handle_timeout().await,
            };
            if let Err(error) = handled {
                self.trouble(&error.to_string());
            }
        }
        let _ = self.engine.command(Command::GoOffline).await; // without an account there is nothing to leave
        self.settle().await;
        if let Some(line) = self.line.take() {
            line.close().await;
        }
    }

    /// Whether nothing is under way that is worth waiting for: what was asked for while connecting leaves after that,
    /// unless it takes too long.
    fn is_settled(&self) -> bool {
        let is_connecting = self.connecting_since.is_some_and(|since| since.elapsed() < LEAVE_MAX);
        !is_connecting && self.engine.is_settled()
    }

    fn sleep(&self) -> Duration {
        let wait = self.engine.next_timeout().map(|at| at.since(SystemClock.now()));
        wait.unwrap_or(SLEEP_MAX).min(SLEEP_MAX)
    }

    /// Carries out what the engine wants, and tells what it has to tell, until there is nothing more.
    async fn settle(&mut self) {
        loop {
            if let Some(output) = self.engine.poll_output() {
                self.carry_out(output).await;
            } else if let Some(event) = self.engine.poll_event() {
                self.tell(event);
            } else {
                return;
            }
        }
    }

    async fn carry_out(&mut self, output: Output) {
        match output {
            Output::Connect(plan) => match self.network() {
                Ok(network) => {
                    self.lines += 1;
                    self.line = Some(Line::open(self.lines, plan, network, self.reports.clone()));
                }
                Err(refusal) => {
                    self.trouble(&refusal.text);
                    let failed = client::output::ConnectFailure::Unreachable;
                    if let Err(error) = self.engine.handle_connect_failed(failed).await {
                        self.trouble(&error.to_string());
                    }
                }
            },
            Output::Bytes(bytes) => self.order(Order::Write(bytes)),
            Output::StartTls => self.order(Order::StartTls),
            Output::Disconnect => {
                if let Some(line) = self.line.take() {
                    tokio::spawn(line.close());
                }
            }
            Output::Http(request) => self.begin_request(request).await,
            Output::SaveFile(file) => self.save(file).await,
            Output::AdvanceGeneration => {
                // What cannot be counted is not sealed either, so nothing more is sent on this connection.
                if let Err(error) = self.generation.advance().await {
                    self.trouble(&error.to_string());
                } else if let Err(error) = self.engine.handle_generation().await {
                    self.trouble(&error.to_string());
                }
            }
            _ => {}
        }
    }

    fn order(&self, order: Order) {
        if let Some(line) = &self.line {
            line.order(order);
        }
    }

    /// The settings are read each time: a running engine follows `waxwing config`.
    fn network(&self) -> Result<Network, Refusal> {
        let mut settings = Settings::load(self.home.settings())?;
        if let Some((_, ca_file)) = &self.login_ca {
            settings.ca_file = Some(ca_file.clone());
        }
        Network::new(&settings)
    }

    /// A sign-in has ended: the authority that it was made with stays if it has worked.
    fn login_ended(&mut self, request: RequestId, worked: bool) {
        let Some((_, ca_file)) = self.login_ca.take_if(|(of, _)| *of == request).filter(|_| worked) else { return };
        let saved = Settings::load(self.home.settings()).and_then(|mut settings| {
            settings.ca_file = Some(ca_file);
            settings.save(self.home.settings())
        });
        if let Err(refusal) = saved {
            self.trouble(&refusal.text);
        }
    }

    async fn begin_request(&mut self, request: HttpRequest) {
        match self.network() {
            Ok(network) => {
                let total = match request.method {
                    HttpMethod::Put => request.body.len() as u64,
                    HttpMethod::Get => 0,
                };
                self.transfers.insert(request.id, total);
                web::begin(request, network, self.web_reports.clone());
            }
            Err(refusal) => {
                self.trouble(&refusal.text);
                let failed = client::HttpOutcome::Failed(client::output::HttpFailure::Network);
                if let Err(error) = self.engine.handle_http(request.id, failed).await {
                    self.trouble(&error.to_string());
                }
            }
        }
    }

    async fn save(&mut self, file: SaveFile) {
        let directory = Settings::load(self.home.settings()).ok().and_then(|settings| settings.files);
        let directory = directory.unwrap_or_else(|| self.home.files().to_path_buf());
        let SaveFile { id, message, name, bytes } = file;
        let saved = tokio::task::spawn_blocking(move || downloads::save(&directory, &name, &bytes)).await;
        let saved = saved.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
        // Complete only now, and failed with its reason otherwise: the engine tries again.
        if let Err(error) = self.engine.handle_saved(id, saved.is_ok()).await {
            self.trouble(&error.to_string());
        }
        match saved {
            Ok(path) => {
                let message = message.as_str().to_owned();
                let _ =
                    self.events.send(Event::FileSaved { message: message.clone(), path: path.display().to_string() });
                self.saved.insert(message, path);
            }
            Err(error) => {
                self.not_saved = refusals::file_not_saved(error);
            }
        }
    }

    fn tell(&mut self, event: client::Event) {
        if let client::Event::Account(state) = &event {
            let since = self.connecting_since.unwrap_or_else(Instant::now);
            self.connecting_since = (*state == AccountState::Connecting).then_some(since);
        }
        if let client::Event::Done { request, outcome } = event {
            self.login_ended(request, outcome.is_ok());
            let Some(answering) = self.waiting.remove(&request) else { return };
            let answer = match outcome {
                Ok(Outcome::Fetched { message }) => {
                    let path = self.saved.remove(message.as_str());
                    Ok(Answer::Fetched { path: path.map(|path| path.display().to_string()) })
                }
                Err(client::Failure::FileNotSaved) => Err(Refusal::new(Kind::Disk, self.not_saved.as_str())),
                Ok(outcome) => Ok(api::outcome(outcome)),
                Err(failure) => Err(Refusal::from(failure)),
            };
            let _ = answering.send(answer);
        } else if let Some(event) = api::event(event) {
            let _ = self.events.send(event); // nobody may be listening
        }
    }

    /// Something on this machine went wrong that belongs to no request.
    fn trouble(&self, text: &str) {
        tracing::warn!("the engine met trouble with this machine");
        let _ = self.events.send(Event::Notice { contact: None, notice: "trouble".to_owned(), text: text.to_owned() });
    }

    async fn report(&mut self, number: u64, report: Report) -> Result<(), EngineError> {
        if self.line.as_ref().is_none_or(|line| line.number != number) {
            return Ok(());
        }
        match report {
            Report::Connected(transport, place) => {
                if let Some(place) = place {
                    self.engine.handle_place(place);
                }
                self.engine.handle_connected(transport).await
            }
            Report::Failed(failure) => {
                self.line = None;
                self.engine.handle_connect_failed(failure).await
            }
            Report::Secured(facts) => self.engine.handle_tls(facts).await,
            Report::Read(bytes) => {
                let handled = self.engine.handle_bytes(&bytes).await;
                // What the engine wants done because of these bytes, such as TLS, comes before the next ones.
                self.settle().await;
                self.order(Order::ReadOn);
                handled
            }
            Report::Lost => {
                self.line = None;
                self.engine.handle_disconnected().await
            }
        }
    }

    async fn web_report(&mut self, report: web::Report) -> Result<(), EngineError> {
        match report {
            web::Report::Progress(id, done_bytes) => {
                let total = self.transfers.get(&id).copied().filter(|total| *total > 0);
                let file = FileView {
                    name: String::new(),
                    size_bytes: total,
                    media_type: None,
                    state: "moving".to_owned(),
                    done_bytes: Some(done_bytes),
                    reason: None,
                };
                let (contact, message) = (String::new(), String::new());
                let _ = self.events.send(Event::File { contact, message, file });
                Ok(())
            }
            web::Report::Done(id, outcome) => {
                self.transfers.remove(&id);
                self.engine.handle_http(id, outcome).await
            }
        }
    }

    async fn ask(&mut self, Job { request, answer }: Job) {
        let ca_file = match &request {
            Request::Login { ca_file, .. } => ca_file.as_deref().map(PathBuf::from),
            _ => None,
        };
        if let Some(Err(refusal)) = ca_file.as_deref().map(authorities) {
            let _ = answer.send(Err(refusal));
            return;
        }
        let command = match command(request).await {
            Ok(command) => command,
            Err(refusal) => {
                let _ = answer.send(Err(refusal));
                return;
            }
        };
        match self.engine.command(command).await {
            Ok(Reply::Accepted(id)) => {
                if let Some(ca_file) = ca_file {
                    self.login_ca = Some((id, ca_file));
                }
                self.waiting.insert(id, answer);
            }
            Ok(reply) => {
                let reply = api::answer(reply).ok_or_else(|| Refusal::from(&CommandError::NotApplicable));
                let _ = answer.send(reply);
            }
            Err(error) => {
                let _ = answer.send(Err(Refusal::from(&error)));
            }
        }
    }
}

/// What a request asks of the engine.
async fn command(request: Request) -> Result<Command, Refusal> {
    Ok(match request {
        Request::Join { link, name } => Command::Join { link, name },
        Request::Login { address, password, at, pin, ca_file, danger_no_binding } => Command::Login(Login {
            address,
            password: Password::new(password),
            at: at.iter().map(|text| endpoint(text)).collect::<Result<_, _>>()?,
            by_certificate: pin.is_none() && ca_file.is_some(),
            pin: pin.as_deref().map(self::pin).transpose()?,
            danger_no_binding,
        }),
        Request::GoOnline => Command::GoOnline,
        Request::ChangePassword { new } => Command::ChangePassword { new: new.map(Password::new) },
        Request::DeleteAccount => Command::DeleteAccount,
        Request::Status => Command::Status,
        Request::AcceptClock => Command::AcceptClock,
        Request::Invite => Command::Invite,
        Request::Add { link, name } => Command::Add { link, name },
        Request::Contacts => Command::Contacts,
        Request::Requests => Command::Requests,
        Request::Accept { who } => Command::Accept { who },
        Request::Block { who } => Command::Block { who },
        Request::Remove { who } => Command::Remove { who },
        Request::Rename { who, name } => Command::Rename { who, name },
        Request::Grant { who } => Command::GrantPresence { who },
        Request::Revoke { who } => Command::RevokePresence { who },
        Request::Receipts { who, on } => Command::Receipts { who, on },
        Request::Number { who } => Command::Number { who },
        Request::Verify { who, proof } => {
            let proof = match proof {
                proof if proof == Request::NUMBER_SHOWN => Proof::NumberShown,
                proof if proof.contains(':') => Proof::Link(proof),
                proof => Proof::Number(proof),
            };
            Command::Verify { who, proof }
        }
        Request::AcceptChange { who } => Command::AcceptChange { who },
        Request::Devices { who, to_show } => Command::Devices { who, to_show },
        Request::DecideDevice { who, device, fingerprint, decision } => {
            let decision = match decision {
                api::Decision::Agree => client::command::Decision::Agree,
                api::Decision::Refuse => client::command::Decision::Refuse,
                api::Decision::Later => client::command::Decision::Later,
            };
            Command::DecideDevice { who, device, fingerprint, decision }
        }
        Request::Say { who, text } => Command::Say { who, text },
        Request::Outbox => Command::Outbox,
        Request::Retry { id } => Command::RetryMessage { id },
        Request::RetryAll => Command::RetryAll,
        Request::Cancel { id } => Command::CancelMessage { id },
        Request::Send { who, path, path_hex } => {
            let path = path_of(path, path_hex)?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let bytes = read_file(&path).await?;
            Command::SendFile { who, media_type: media_type(&name), name, bytes }
        }
        Request::WantedFiles => Command::WantedFiles,
        Request::Fetch { who, message } => Command::Fetch { who, message: MessageId::new(message) },
        Request::History { who, before, limit } => Command::History { who, before, limit },
        Request::Inbox { requests, unread_only, limit } => {
            let from =
                if requests { client::command::InboxSide::Requests } else { client::command::InboxSide::Contacts };
            Command::Inbox(client::command::InboxFilter { from, unread_only, limit })
        }
        Request::MarkRead { who } => Command::MarkRead { who },
        Request::Notices => Command::Notices,
        Request::NoticesSeen { up_to } => Command::NoticesSeen { up_to },
    })
}

/// A path may be any bytes; on the socket those that are no text are digits.
fn path_of(text: String, digits: Option<String>) -> Result<PathBuf, Refusal> {
    let Some(digits) = digits else { return Ok(PathBuf::from(text)) };
    let bytes = hex::decode(digits).map_err(|_| Refusal::new(Kind::BadInput, refusals::path_hex_unusable()))?;
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

async fn read_file(path: &Path) -> Result<Bytes, Refusal> {
    let refuse = |text| Refusal::new(Kind::File, text);
    let shown = path.display();
    let unusable = |error| refuse(refusals::file_unusable(&shown, error));
    let metadata = tokio::fs::metadata(path).await.map_err(unusable)?;
    if metadata.is_dir() {
        return Err(refuse(refusals::file_is_a_directory(&shown)));
    }
    if !metadata.is_file() {
        return Err(refuse(refusals::file_not_regular(&shown)));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(refuse(refusals::file_too_large(&shown, FILE_BYTES_MAX / 1024 / 1024)));
    }
    tokio::fs::read(path).await.map(Bytes::from).map_err(unusable)
}

/// Said only where a receiver can do something with it; nothing is looked up in the file.
fn media_type(name: &str) -> Option<String> {
    let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
    let known = match ending.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "mp4" => "video/mp4",
        "ogg" | "opus" => "audio/ogg",
        "mp3" => "audio/mpeg",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        _ => return None,
    };
    Some(known.to_owned())
}

/// Reads a pin as links carry it.
fn pin(text: &str) -> Result<[u8; 32], Refusal> {
    let read = xep::encoding::parse_base64url(text.trim());
    read.ok_or_else(|| Refusal::new(Kind::BadInput, refusals::pin_unusable()))
}

/// Reads `host`, `host:port` or `[address]:port`.
fn endpoint(text: &str) -> Result<Endpoint, Refusal> {
    let named = net::dial::HostPort::parse(text).map(|host| Endpoint { host: host.host, port: host.port });
    let alone = || net::names::to_ascii(text).map(|host| Endpoint { host, port: 0 });
    let refuse = || Refusal::new(Kind::BadInput, refusals::host_unusable());
    named.or_else(alone).ok_or_else(refuse)
}
