//! The driver of control: hands it events one by one, and holds back what has to be on disk first.

use std::collections::VecDeque;

use bytes::Bytes;
use coterie_swim::{Address, Now};

use super::Storage;
use crate::control::{Control, ControlAction, ControlEffects, Event};
use crate::effects::After;
use crate::rows::StoreError;

/// Control with what waits for it and what it waits for.
#[derive(Debug)]
pub struct ControlDriver {
    control: Control,
    packet_bytes_max: usize,
    inbox: VecDeque<Event>,
    held: VecDeque<(u64, ControlAction)>,
}

/// A datagram of the failure detector, before it is sealed.
pub type Packet = (Address, Bytes);

/// What turns of control lead to.
#[derive(Debug, Default)]
pub struct ControlTurn {
    /// Datagrams to send.
    pub packets: Vec<Packet>,
    /// All else that is to be carried out now.
    pub actions: Vec<ControlAction>,
}

impl ControlDriver {
    /// The driver of a control that has just been opened; its datagrams are of at most so many bytes.
    #[must_use]
    pub fn new(control: Control, packet_bytes_max: usize) -> Self {
        let (inbox, held) = (VecDeque::new(), VecDeque::new());
        ControlDriver { control, packet_bytes_max, inbox, held }
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
    pub fn turn(
        &mut self,
        storage: &mut impl Storage,
        now: Now,
        turn: &mut ControlTurn,
    ) -> Result<(), StoreError> {
        while let Some(event) = self.inbox.pop_front() {
            let mut effects = ControlEffects::new();
            self.control.handle(event, now, &mut effects);
            self.carry(effects, storage, now, turn)?;
        }
        Ok(())
    }

    /// Commits what an event changed, and sorts what follows.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn carry(
        &mut self,
        mut effects: ControlEffects,
        storage: &mut impl Storage,
        now: Now,
        turn: &mut ControlTurn,
    ) -> Result<(), StoreError> {
        if !effects.batch.is_empty() {
            storage.gather(&mut effects.batch);
        }
        let number = storage.commit()?;
        for (after, action) in effects.actions {
            if let ControlAction::Packet(transmit) = action {
                // Its bytes are to be made before control is handed another event.
                let mut bytes = Vec::new();
                self.control.write_packet(&transmit, self.packet_bytes_max, now, &mut bytes);
                turn.packets.push((transmit.address, Bytes::from(bytes)));
            } else if after == After::Written || storage.is_synced(number) {
                turn.actions.push(action);
            } else {
                self.held.push_back((number, action));
            }
        }
        Ok(())
    }

    /// A sync covers the commits up to `number`: what waited for that.
    pub fn synced(&mut self, number: u64, turn: &mut ControlTurn) {
        let covered = self.held.iter().take_while(|(commit, _)| *commit <= number).count();
        turn.actions.extend(self.held.drain(..covered).map(|(_, action)| action));
    }
}
