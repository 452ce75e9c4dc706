//! What is known about items.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use keyferry_core::RemoteName;

/// The types of items that have a value to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemType {
    Certificate,
    Dynamic,
    Rotated,
    Static,
}

impl ItemType {
    /// The type that a description names.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "CERTIFICATE" => Some(Self::Certificate),
            "DYNAMIC_SECRET" => Some(Self::Dynamic),
            "ROTATED_SECRET" => Some(Self::Rotated),
            "STATIC_SECRET" => Some(Self::Static),
            _ => None,
        }
    }
}

/// What is known about one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) kind: ItemType,
    /// It must be read by itself, because others that were read with it would suffer.
    pub(crate) alone: bool,
}

/// What earlier calls have shown. Grows with the names that are in use, and lives as long as the store's provider.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<HashMap<RemoteName, Known>>);

impl Memory {
    pub(crate) fn get(&self, name: &RemoteName) -> Option<Known> {
        self.items().get(name).copied()
    }

    pub(crate) fn learn(&self, name: &RemoteName, kind: ItemType) -> Known {
        let known = Known { kind, alone: false };
        self.items().insert(name.clone(), known);
        known
    }

    /// Whether an item, if it is known, may be read together with others.
    pub(crate) fn may_join(&self, name: &RemoteName, others: bool) {
        if let Some(known) = self.items().get_mut(name) {
            known.alone = !others;
        }
    }

    pub(crate) fn forget(&self, name: &RemoteName) {
        self.items().remove(name);
    }

    fn items(&self) -> MutexGuard<'_, HashMap<RemoteName, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use keyferry_core::RemoteName;

    use super::{ItemType, Known, Memory};

    #[test]
    fn an_item_joins_others_until_it_may_not() {
        let memory = Memory::default();
        let name = RemoteName::new("/a").expect("a name");
        memory.may_join(&name, false);
        assert_eq!(memory.get(&name), None);
        assert_eq!(memory.learn(&name, ItemType::Static), Known { kind: ItemType::Static, alone: false });
        memory.may_join(&name, false);
        assert_eq!(memory.get(&name), Some(Known { kind: ItemType::Static, alone: true }));
        memory.may_join(&name, true);
        assert_eq!(memory.get(&name), Some(Known { kind: ItemType::Static, alone: false }));
        memory.forget(&name);
        assert_eq!(memory.get(&name), None);
    }
}
