//! The driver of control: hands it events one by one, and holds back what has to be on disk first.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use coterie_protocol::After;
use coterie_protocol::control::{Control, ControlAction, ControlEffects, Event};
use coterie_protocol::rows::StoreError;
use coterie_swim::{Address, Now, PACKET_BYTES_MAX};

use crate::disk::Disk;

/// Control with what waits for it and what it waits for.
#[derive(Debug)]
pub struct ControlDriver {
    control: Control,
    inbox: VecDeque<Event>,
    held: VecDeque<(u64, ControlAction)>,
    /// Whether its next turn is planned.
    pub awake: bool,
    /// For when its next tick is planned.
    pub tick_at: Option<Duration>,
}

/// What a turn of control leads to.
#[derive(Debug, Default)]
pub struct ControlTurn {
    /// Datagrams to send.
    pub packets: Vec<(Address, Bytes)>,
    /// All else that is to be carried out now.
    pub actions: Vec<ControlAction>,
}

impl ControlDriver {
    /// The driver of a control that has just been opened.
    #[must_use]
    pub fn new(control: Control) -> Self {
        let (inbox, held) = (VecDeque::new(), VecDeque::new());
        ControlDriver { control, inbox, held, awake: false, tick_at: None }
    }

    /// The control.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Hands it an event, for its next turn.
    pub fn push(&mut self, event: Event) {
        self.inbox.push_back(event);
    }

    /// Whether it has something to do.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Whether something waits for a sync.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Handles all events that wait.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn turn(&mut self, disk: &mut Disk, now: Now) -> Result<ControlTurn, StoreError> {
        let mut turn = ControlTurn::default();
        while let Some(event) = self.inbox.pop_front() {
            let mut effects = ControlEffects::new();
            self.control.handle(event, now, &mut effects);
            self.carry(effects, disk, now, &mut turn)?;
        }
        Ok(turn)
    }

    /// Commits what an event changed, and sorts what follows.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn carry(
        &mut self,
        effects: ControlEffects,
        disk: &mut Disk,
        now: Now,
        turn: &mut ControlTurn,
    ) -> Result<(), StoreError> {
        disk.gather(&effects.batch);
        let number = disk.commit_gathered()?;
        for (after, action) in effects.actions {
            match action {
                // Its bytes are to be made before control is handed another event.
                ControlAction::Packet(transmit) => {
                    let mut bytes = Vec::new();
                    self.control.write_packet(&transmit, PACKET_BYTES_MAX, now, &mut bytes);
                    turn.packets.push((transmit.address, Bytes::from(bytes)));
                }
                action if after == After::Written || disk.is_synced(number) => {
                    turn.actions.push(action);
                }
                action => self.held.push_back((number, action)),
            }
        }
        Ok(())
    }

    /// A sync covers the commits up to `number`: what waited for that.
    pub fn synced(&mut self, number: u64) -> Vec<ControlAction> {
        let covered = self.held.iter().take_while(|(commit, _)| *commit <= number).count();
        self.held.drain(..covered).map(|(_, action)| action).collect()
    }
}
