//! From names to addresses, on threads of its own.
//!
//! To resolve a name may take the system as long as it pleases, half a minute and more where a resolver is mute, and nobody
//! can stop it. On the threads that read and write files a few such names would keep the disk waiting. So there are other
//! threads for them, few of them, and one name at most occupies one of them, however often it is asked for.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::watch;
use tokio::time::Instant;

/// So many names are resolved at once. Others wait for their turn.
const MOST_THREADS: usize = 8;
/// For so long an answer is kept that came when nobody waited for it any more.
const LATE: Duration = Duration::from_secs(60);

/// How the system resolves names, in its order.
static SYSTEM: LazyLock<Arc<Resolver>> =
    LazyLock::new(|| Resolver::new(|host| Ok((host, 0).to_socket_addrs()?.collect())));

/// The addresses of `host` in the order of the system, with a port of zero. Whoever gives up waiting loses nothing: the name keeps its turn, and
/// an answer that comes late is there for whoever asks next.
///
/// # Errors
/// The system finds none, or has no thread for it.
pub async fn lookup(host: &str) -> io::Result<Vec<SocketAddr>> {
    SYSTEM.lookup(host).await
}

/// Resolves names for HTTP clients.
pub struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // A port of zero stands for that of the URL.
            let addresses: Addrs = Box::new(lookup(name.as_str()).await?.into_iter());
            Ok(addresses)
        })
    }
}

/// What came of a name. An error is told to all who wait, who may be several, so it is kept in its parts.
type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

/// What resolves one name, for as long as that takes.
type Lookup = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

struct Resolver {
    resolve: Box<Lookup>,
    asked: Mutex<Asked>,
}

/// The names that somebody has asked for.
#[derive(Default)]
struct Asked {
    /// Those without an answer yet, and the way to all who wait for it.
    open: HashMap<String, watch::Sender<Option<Answer>>>,
    /// Those of them that no thread has taken up, in their turn.
    waiting: VecDeque<String>,
    /// What came too late for whoever had asked.
    late: HashMap<String, (Instant, Vec<SocketAddr>)>,
    threads: usize,
}

impl Resolver {
    fn new(resolve: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { resolve: Box::new(resolve), asked: Mutex::default() })
    }

    async fn lookup(self: &Arc<Self>, host: &str) -> io::Result<Vec<SocketAddr>> {
        let mut answered = match self.ask(host)? {
            Asking::Known(found) => return Ok(found),
            Asking::Waits(answered) => answered,
        };
        let answer = answered.wait_for(Option::is_some).await.map(|answer| answer.clone());
        match answer {
            Ok(Some(Ok(found))) => Ok(found),
            Ok(Some(Err((kind, text)))) => Err(io::Error::new(kind, text)),
            Ok(None) | Err(_) => Err(io::Error::other("nobody resolves the name any more")),
        }
    }

    fn ask(self: &Arc<Self>, host: &str) -> io::Result<Asking> {
        let mut asked = self.lock();
        if let Some((since, found)) = asked.late.remove(host)
            && since.elapsed() < LATE
        {
            return Ok(Asking::Known(found));
        }
        if let Some(answer) = asked.open.get(host) {
            return Ok(Asking::Waits(answer.subscribe()));
        }
        if asked.threads < MOST_THREADS {
            let this = Arc::clone(self);
            match thread::Builder::new().name("resolver".to_owned()).spawn(move || this.work()) {
                Ok(_) => asked.threads += 1,
                // Where others are at work, one of them takes it up.
                Err(error) if asked.threads == 0 => return Err(error),
                Err(_) => {}
            }
        }
        let (tell, answered) = watch::channel(None);
        asked.open.insert(host.to_owned(), tell);
        asked.waiting.push_back(host.to_owned());
        Ok(Asking::Waits(answered))
    }

    /// What a thread does: one name after the other, until none waits.
    fn work(&self) {
        loop {
            let host = {
                let mut asked = self.lock();
                match asked.waiting.pop_front() {
                    Some(host) => host,
                    None => {
                        asked.threads -= 1;
                        return;
                    }
                }
            };
            let answer = (self.resolve)(&host);
            let mut asked = self.lock();
            asked.late.retain(|_, (since, _)| since.elapsed() < LATE);
            let Some(tell) = asked.open.remove(&host) else { continue };
            match answer {
                Ok(found) if tell.receiver_count() == 0 => {
                    asked.late.insert(host, (Instant::now(), found));
                }
                answer => {
                    let answer = answer.map_err(|error| (error.kind(), error.to_string()));
                    tell.send_replace(Some(answer));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        // Nothing is left half done where a panic could be.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a question stands.
enum Asking {
    Known(Vec<SocketAddr>),
    Waits(watch::Receiver<Option<Answer>>),
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);
    const GIVEN_UP: Duration = Duration::from_millis(20);
    const FOUND: [SocketAddr; 1] = [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)];

    /// A resolver for which every name but `good` is mute until it is told to speak.
    #[derive(Default)]
    struct Mute {
        speaks: Mutex<bool>,
        told: Condvar,
        asked: AtomicUsize,
    }

    impl Mute {
        fn resolver(self: &Arc<Self>) -> Arc<Resolver> {
            let mute = Arc::clone(self);
            Resolver::new(move |host| {
                mute.asked.fetch_add(1, Ordering::Relaxed);
                if host != "good" {
                    drop(mute.told.wait_while(mute.speaks.lock().unwrap(), |speaks| !*speaks).unwrap());
                }
                if host == "none" { Err(io::Error::other("no such name")) } else { Ok(FOUND.to_vec()) }
            })
        }

        fn speak(&self) {
            *self.speaks.lock().unwrap() = true;
            self.told.notify_all();
        }
    }

    /// Returns once every thread has ended.
    async fn idle(resolver: &Resolver) {
        let all_end = async {
            while resolver.lock().threads > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, all_end).await.unwrap();
    }

    async fn give_up(resolver: &Arc<Resolver>, host: &str) {
        timeout(GIVEN_UP, resolver.lookup(host)).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_mute_name_keeps_one_thread_however_often_it_is_asked_for_and_no_other_name_from_its_answer() {
        let mute = Arc::new(Mute::default());
        let resolver = mute.resolver();
        for _ in 0..5 {
            for host in ["a", "b", "c", "d", "e", "f"] {
                give_up(&resolver, host).await;
            }
        }
        assert_eq!(resolver.lock().threads, 6);
        assert_eq!(timeout(PATIENCE, resolver.lookup("good")).await.unwrap().unwrap(), FOUND);
        mute.speak();
        idle(&resolver).await;
        assert_eq!(mute.asked.load(Ordering::Relaxed), 7, "each was asked for once");
    }

    #[tokio::test]
    async fn names_beyond_the_threads_wait_for_their_turn_and_keep_it_when_nobody_waits() {
        let mute = Arc::new(Mute::default());
        let resolver = mute.resolver();
        let names: Vec<_> = (0..40).map(|number| format!("mute-{number}")).collect();
        for host in &names {
            drop(resolver.ask(host).unwrap());
        }
        give_up(&resolver, "good").await;
        assert_eq!(resolver.lock().threads, MOST_THREADS);
        mute.speak();
        assert_eq!(timeout(PATIENCE, resolver.lookup("good")).await.unwrap().unwrap(), FOUND);
        // Others may have been taken up before it, and be asked for after it.
        idle(&resolver).await;
        assert_eq!(mute.asked.load(Ordering::Relaxed), 41, "each was asked for once");
    }

    #[tokio::test]
    async fn an_answer_that_comes_late_is_there_for_whoever_asks_next() {
        let mute = Arc::new(Mute::default());
        let resolver = mute.resolver();
        give_up(&resolver, "slow").await;
        mute.speak();
        let is_kept = async {
            while !resolver.lock().late.contains_key("slow") {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, is_kept).await.unwrap();
        assert_eq!(resolver.lookup("slow").await.unwrap(), FOUND);
        assert_eq!(mute.asked.load(Ordering::Relaxed), 1);
        assert_eq!(resolver.lookup("slow").await.unwrap(), FOUND);
        assert_eq!(mute.asked.load(Ordering::Relaxed), 2, "names are not cached");
    }

    #[tokio::test]
    async fn all_who_wait_for_a_name_hear_why_there_is_no_answer() {
        let mute = Arc::new(Mute::default());
        let resolver = mute.resolver();
        let both = async { tokio::join!(resolver.lookup("none"), resolver.lookup("none")) };
        let speak = async { mute.speak() };
        let ((first, second), ()) = tokio::join!(both, speak);
        assert_eq!(first.unwrap_err().to_string(), "no such name");
        assert_eq!(second.unwrap_err().to_string(), "no such name");
        assert_eq!(mute.asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn the_threads_end_once_no_name_waits() {
        let resolver = Arc::new(Mute::default()).resolver();
        assert_eq!(resolver.lookup("good").await.unwrap(), FOUND);
        idle(&resolver).await;
    }
}
