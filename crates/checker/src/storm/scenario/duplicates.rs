//! What comes more than once, and keys that are used for more than one thing.

use std::sync::Arc;

use anyhow::Result;
use futures_util::future::try_join_all;
use uuid::Uuid;

use super::super::{
    client::{Manner, Wanted},
    history::Action,
};
use super::Client;

/// Of 100 things that a client does, how many are two keys across two orders.
const CROSSED_PERCENT: usize = 10;

impl Client {
    pub(super) async fn duplicates(&mut self) -> Result<()> {
        if self.dice.chance(CROSSED_PERCENT) {
            return self.crossed().await;
        }
        let wanted = match self.field.pick(&mut self.dice) {
            Some(order) if self.dice.chance(80) => {
                let action = self.any_action();
                self.wanted(order, action)
            }
            _ => self.place(),
        };
        let copies = self.dice.between(2, 4);
        let manners: Vec<_> = (0..copies).map(|_| self.copy_manner()).collect();
        let reused = (self.dice.chance(15) && !matches!(wanted.action, Action::Place { .. }))
            .then(|| self.reuse(&wanted));
        let late = self.dice.chance(30);
        let (mut dice, other_dice) = (self.dice.fork(), self.dice.fork());
        let door = Arc::clone(&self.door);
        let other = async {
            match reused {
                Some(other) => door
                    .send(other, Manner::default(), other_dice)
                    .await
                    .map(Some),
                None => Ok(None),
            }
        };
        let again = wanted.clone();
        let (sent, other) = tokio::join!(door.send_copies(wanted, &manners, &mut dice), other);
        let mut sent = sent?;
        if late {
            let repeated = door.send(again, Manner::default(), dice.fork()).await?;
            sent.attempts.extend(repeated.attempts);
        }
        self.sent.extend(other?);
        self.keep(sent);
        Ok(())
    }

    /// Two keys at once, each of them for both of two orders, which are mostly on two shards: whose batch writes first has each.
    async fn crossed(&mut self) -> Result<()> {
        let one = self.field.pick(&mut self.dice);
        let two = self.field.pick(&mut self.dice);
        let (Some(one), Some(two)) = (one, two) else {
            return Ok(());
        };
        let mut four = Vec::new();
        for (order, other) in [(one, two), (two, one)] {
            let action = self.annotate();
            let wanted = self.wanted(order, action);
            four.push(self.reuse_on(&wanted, other));
            four.push(wanted);
        }
        let sends = four.into_iter().map(|wanted| {
            let dice = self.dice.fork();
            self.door.send(wanted, Manner::default(), dice)
        });
        let sent = try_join_all(sends.collect::<Vec<_>>()).await?;
        self.sent.extend(sent);
        Ok(())
    }

    /// Another thing under the key of `wanted`, half of the time on another order, and so mostly on another shard.
    fn reuse(&mut self, wanted: &Wanted) -> Wanted {
        let other = self.field.pick(&mut self.dice);
        let order = other.filter(|_| self.dice.chance(50));
        self.reuse_on(wanted, order.unwrap_or(wanted.order))
    }

    fn reuse_on(&mut self, wanted: &Wanted, order: Uuid) -> Wanted {
        Wanted {
            key: wanted.key.clone(),
            mark: format!("{}-other", wanted.mark),
            order,
            action: self.annotate(),
            expected_version: None,
            batch: None,
        }
    }
}
