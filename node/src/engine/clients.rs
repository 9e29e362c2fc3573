//! Who waits for the answers of a lane: a slot for each request under way.

use coterie_protocol::ClientId;

use super::inbox::AnswerTo;

/// Those that wait, by the number that the lane knows them by.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    /// Counts who has had the slot: an answer to an earlier one is nobody's.
    generation: u32,
    waiting: Option<AnswerTo>,
}

impl Clients {
    /// Somebody waits.
    ///
    /// # Panics
    /// If more than 2^32 wait.
    pub(crate) fn add(&mut self, waiting: AnswerTo) -> ClientId {
        let index = self.free.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.slots.len()).expect("requests under way are bounded");
            self.slots.push(Slot { generation: 0, waiting: None });
            index
        });
        let slot = &mut self.slots[index as usize];
        slot.waiting = Some(waiting);
        ClientId(u64::from(slot.generation) << 32 | u64::from(index))
    }

    /// Whom an answer is for; nobody where it was answered before.
    pub(crate) fn take(&mut self, client: ClientId) -> Option<AnswerTo> {
        let index = u32::try_from(client.0 & u64::from(u32::MAX)).ok()?;
        let slot = self.slots.get_mut(index as usize)?;
        if u64::from(slot.generation) != client.0 >> 32 {
            return None;
        }
        let waiting = slot.waiting.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        Some(waiting)
    }

    /// How many wait.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(number: u64) -> AnswerTo {
        AnswerTo::Connection(number, 0)
    }

    fn number(waiting: Option<AnswerTo>) -> Option<u64> {
        match waiting? {
            AnswerTo::Connection(number, _) => Some(number),
            AnswerTo::Lane(..) | AnswerTo::Response(_) | AnswerTo::Listed(_) => None,
        }
    }

    #[test]
    fn each_answer_reaches_who_asked_and_a_second_one_nobody() {
        let mut clients = Clients::default();
        let (one, other) = (clients.add(waiting(1)), clients.add(waiting(2)));
        assert_eq!(clients.len(), 2);
        assert_eq!(number(clients.take(other)), Some(2));
        assert_eq!(number(clients.take(other)), None);
        let third = clients.add(waiting(3));
        assert_ne!(third, other);
        assert_eq!(number(clients.take(other)), None);
        assert_eq!(number(clients.take(third)), Some(3));
        assert_eq!(number(clients.take(one)), Some(1));
        assert!(clients.is_empty());
        assert_eq!(number(clients.take(ClientId(77))), None);
    }
}
