//! When a transition of an alert is safe, so that it need not be remembered any more: all that is to be known of it.
//!
//! What the engine has decided must reach everybody who is to be told, though the process may be killed at any moment and
//! the disk may refuse anything. So a transition passes through two hands, and the first lets go only when the second holds:
//!
//! 1. It becomes part of the state file, as an [`Untold`](crate::state::Untold), before anybody is told.
//! 2. A copy of it, a [`Parcel`], goes into the queue of each destination. Each has a [`Fate`]:
//!
//! ```text
//!                            the disk has it
//!   Coming ──▶ Pending ──────────────────────▶ Stored ──┐
//!                │  ▲                            ▲      │
//!     refused by │  │ the disk is          the   │      ├──▶ Settled: taken, refused for good by
//!       the disk │  │ asked again          disk  │      │             the receiver, or too old
//!                ▼  │                      has it│      │
//!              Exposed ──────────────────────────┘──────┤
//!                                                       └──▶ Lost: no room was left for it
//! ```
//!
//! 3. It is crossed off the state file once every copy is `Stored` or `Settled`: then another process finds it in the
//!    queue, or nobody waits for it.
//!
//! What is `Lost` is neither. It stays part of the state file, so that the next process tells it again, under the same key,
//! by which receivers know it. Only a later transition of the same alert that is safe makes it pointless: nobody wants to
//! hear that an alert fires after hearing that it is over.
//!
//! A host without a state directory has the second hand alone, and says so.

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, oneshot};

use super::mutex::lock;

/// What became of a transition in the queue of one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits in memory, and the disk has not answered yet.
    Pending,
    /// It waits in memory alone: the disk has refused it, or there is none.
    Exposed,
    /// It is on disk.
    Stored,
    /// It waits no more, and need not.
    Settled,
    /// It was given up for want of room.
    Lost,
}

impl Fate {
    /// Whether it need not be remembered elsewhere.
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Stored | Self::Settled)
    }
}

/// Where the queue writes what becomes of an item.
#[derive(Clone, Debug)]
pub(super) struct Mark(Arc<Mutex<Fate>>);

impl Mark {
    pub(super) fn new(fate: Fate) -> Self {
        Self(Arc::new(Mutex::new(fate)))
    }

    pub(super) fn set(&self, fate: Fate) {
        *lock(&self.0) = fate;
    }

    pub(super) fn get(&self) -> Fate {
        *lock(&self.0)
    }
}

/// The copy of a transition for one destination.
pub struct Parcel(Way);

enum Way {
    /// It is with an exporter, which will put it into the queue; `None` if that cannot be done.
    Coming(oneshot::Receiver<Option<Parcel>>),
    /// It is or was in the queue.
    Queued { mark: Mark, progress: Arc<Notify> },
    /// Nobody asks what becomes of it.
    Known(Fate),
}

impl Parcel {
    /// One that an exporter will put into a queue.
    pub const fn coming(queued: oneshot::Receiver<Option<Self>>) -> Self {
        Self(Way::Coming(queued))
    }

    pub(super) const fn queued(mark: Mark, progress: Arc<Notify>) -> Self {
        Self(Way::Queued { mark, progress })
    }

    /// One that need not be remembered, because it is no alert.
    pub(super) const fn settled() -> Self {
        Self(Way::Known(Fate::Settled))
    }

    /// Waits until it is more than pending.
    pub async fn wait(&mut self) {
        if let Way::Coming(queued) = &mut self.0 {
            let queued = queued.await;
            self.arrive(queued.ok());
        }
        let Way::Queued { mark, progress } = &self.0 else { return };
        loop {
            let changed = progress.notified();
            if mark.get() != Fate::Pending {
                return;
            }
            changed.await;
        }
    }

    /// What has become of it.
    pub fn fate(&mut self) -> Fate {
        if let Way::Coming(queued) = &mut self.0 {
            match queued.try_recv() {
                Ok(queued) => self.arrive(Some(queued)),
                Err(oneshot::error::TryRecvError::Closed) => self.arrive(None),
                Err(oneshot::error::TryRecvError::Empty) => return Fate::Pending,
            }
        }
        match &self.0 {
            Way::Coming(_) => Fate::Pending,
            Way::Queued { mark, .. } => mark.get(),
            Way::Known(fate) => *fate,
        }
    }

    /// An exporter that has ended has put nothing into the queue. What it cannot encode nobody ever will.
    fn arrive(&mut self, queued: Option<Option<Self>>) {
        self.0 = match queued {
            Some(Some(parcel)) => parcel.0,
            Some(None) => Way::Known(Fate::Settled),
            None => Way::Known(Fate::Lost),
        };
    }
}

/// The copies of a transition for all who are told.
#[derive(Default)]
pub struct Told(Vec<Parcel>);

impl Told {
    /// Adds a copy.
    pub fn add(&mut self, parcel: Parcel) {
        self.0.push(parcel);
    }

    /// Waits until each copy is more than pending.
    pub async fn wait(&mut self) {
        for parcel in &mut self.0 {
            parcel.wait().await;
        }
    }

    /// Whether every copy is safe.
    pub fn is_safe(&mut self) -> bool {
        self.0.iter_mut().all(|parcel| parcel.fate().is_safe())
    }

    /// Whether some copy is lost, and no other is on its way any more.
    pub fn is_lost(&mut self) -> bool {
        let fates: Vec<_> = self.0.iter_mut().map(Parcel::fate).collect();
        fates.contains(&Fate::Lost) && fates.iter().all(|fate| *fate == Fate::Lost || fate.is_safe())
    }
}
