//! Which live worker owns which shard, and which one stands by. Pure: the same members give the same answer in every
//! process, whatever order they are listed in.
//!
//! Rendezvous hashing (Thaler and Ravishankar, 1998) with a bound on each worker's share, as in "Consistent Hashing with
//! Bounded Loads" (Mirrokni et al., 2016): the pairs of shard and worker are taken in order of their hash, and a worker that
//! has its share is passed over. A worker that comes or goes moves little more than its own share.
//!
//! A worker that is drained is as good as gone, but for the shards that nobody else has room for.

use std::cmp::Reverse;

use orderly_protocol::ShardId;
use xxhash_rust::xxh3::xxh3_64;

/// A worker that may own shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'a str,
    /// Shards that it will own at the most.
    pub(crate) capacity: Option<usize>,
    /// Routing keys of shards that it leaves to others.
    pub(crate) declined: &'a [String],
    /// Whether it is to be stopped: others take its share, as far as they have room.
    pub(crate) draining: bool,
}

/// Who serves a shard. Both subscribe, the owner first; nobody else does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranks {
    /// Nobody, when all are full.
    pub(crate) owner: Option<String>,
    /// Nobody, when there is only one worker.
    pub(crate) standby: Option<String>,
}

/// The ranks of every shard, in the order of `shards`.
pub(crate) fn place(shards: &[ShardId], members: &[Member<'_>]) -> Vec<Ranks> {
    let mut pairs: Vec<_> = (0..shards.len())
        .flat_map(|shard| (0..members.len()).map(move |member| (shard, member)))
        .filter(|(shard, member)| {
            let declined = members[*member].declined;
            !declined.contains(&shards[*shard].routing_key())
        })
        .collect();
    // The name decides between equal hashes: an index would depend on the listing.
    pairs.sort_by_cached_key(|(shard, member)| {
        let name = members[*member].name;
        Reverse((weight(shards[*shard], name), name))
    });
    // Where all are to be stopped, each is as good as the other.
    let all_leave = members.iter().all(|member| member.draining);
    let stays = |member: &usize| all_leave || !members[*member].draining;
    let takers = (0..members.len()).filter(stays).count();
    let (staying, leaving): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(_, member)| stays(member));
    let share = shards.len().div_ceil(takers.max(1));
    let capacity = |member: usize| members[member].capacity.unwrap_or(usize::MAX);

    let mut owners = Places::new(shards.len(), members.len());
    owners.fill(&staying, |member| capacity(member).min(share));
    // Where some have room for less than their share, the others take more.
    owners.fill(&staying, capacity);
    owners.fill(&leaving, capacity);

    // Not those that are to be stopped: a standby consumes the queue, and nobody could tell when they may be.
    let others: Vec<_> = staying
        .into_iter()
        // A shard that nobody has room for gets no standby either, who would only own it all the same.
        .filter(|(shard, member)| owners.of[*shard].is_some_and(|owner| owner != *member))
        .collect();
    let mut standbys = Places::new(shards.len(), members.len());
    standbys.fill(&others, |_| share);
    // With two workers, one of them is the only choice for each shard.
    standbys.fill(&others, |_| usize::MAX);

    let name = |member: &Option<usize>| member.map(|member| members[member].name.to_owned());
    let ranks = owners.of.iter().zip(&standbys.of);
    ranks
        .map(|(owner, standby)| Ranks {
            owner: name(owner),
            standby: name(standby),
        })
        .collect()
}

/// One place for each shard, and how many each member has.
struct Places {
    of: Vec<Option<usize>>,
    held: Vec<usize>,
}

impl Places {
    fn new(shards: usize, members: usize) -> Self {
        Self {
            of: vec![None; shards],
            held: vec![0; members],
        }
    }

    fn fill(&mut self, pairs: &[(usize, usize)], limit: impl Fn(usize) -> usize) {
        for &(shard, member) in pairs {
            if self.of[shard].is_none() && self.held[member] < limit(member) {
                self.of[shard] = Some(member);
                self.held[member] += 1;
            }
        }
    }
}

fn weight(shard: ShardId, name: &str) -> u64 {
    xxh3_64(format!("{} {name}", shard.routing_key()).as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn shards(count: i32) -> Vec<ShardId> {
        let shard = |shard| ShardId {
            generation: 1,
            shard,
        };
        (0..count).map(shard).collect()
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("worker.host.{n}")).collect()
    }

    fn members(names: &[String]) -> Vec<Member<'_>> {
        let member = |name| Member {
            name,
            capacity: None,
            declined: &[],
            draining: false,
        };
        names.iter().map(|name| member(name.as_str())).collect()
    }

    fn owned(ranks: &[Ranks]) -> HashMap<&str, usize> {
        let mut owned = HashMap::new();
        for owner in ranks.iter().filter_map(|ranks| ranks.owner.as_deref()) {
            *owned.entry(owner).or_default() += 1;
        }
        owned
    }

    #[test]
    fn every_shard_has_an_owner_and_another_standby_and_shares_are_fair() {
        for count in [1, 2, 3, 5, 8, 20] {
            let names = names(count);
            let ranks = place(&shards(16), &members(&names));
            for rank in &ranks {
                assert!(rank.owner.is_some(), "{count}: {rank:?}");
                assert_eq!(rank.standby.is_some(), count > 1, "{count}: {rank:?}");
                assert_ne!(rank.owner, rank.standby);
            }
            let most = owned(&ranks).into_values().max();
            assert_eq!(most, Some(16_usize.div_ceil(count)), "{count}");
        }
    }

    #[test]
    fn the_listing_does_not_matter() {
        let mut names = names(7);
        let one = place(&shards(48), &members(&names));
        names.reverse();
        assert_eq!(place(&shards(48), &members(&names)), one);
    }

    /// How many of 48 shards change their owner when an eighth worker joins seven, or leaves them: at least its share of 6.
    #[test]
    fn a_worker_that_comes_or_goes_moves_little_more_than_its_share() {
        let shards = shards(48);
        let mut moved = Vec::new();
        for round in 0..100 {
            let names: Vec<_> = (0..8).map(|n| format!("w{round}.{n}")).collect();
            let seven = place(&shards, &members(&names[..7]));
            let eight = place(&shards, &members(&names));
            let pairs = seven.iter().zip(&eight);
            moved.push(pairs.filter(|(a, b)| a.owner != b.owner).count());
        }
        let mean: usize = moved.iter().sum::<usize>() / moved.len();
        assert!((6..=10).contains(&mean), "{mean} on average: {moved:?}");
    }

    #[test]
    fn a_full_worker_gets_no_more_and_the_others_take_it() {
        let names = names(3);
        let mut members = members(&names);
        members[0].capacity = Some(1);
        let ranks = place(&shards(16), &members);
        let owned = owned(&ranks);
        assert_eq!(owned[names[0].as_str()], 1);
        assert_eq!(owned.values().sum::<usize>(), 16);
    }

    #[test]
    fn what_nobody_has_room_for_has_no_owner() {
        let names = names(2);
        let mut members = members(&names);
        for member in &mut members {
            member.capacity = Some(3);
        }
        let ranks = place(&shards(8), &members);
        let nobodys = ranks.iter().filter(|ranks| **ranks == Ranks::default());
        assert_eq!(nobodys.count(), 2);
    }

    #[test]
    fn a_shard_that_a_worker_declines_goes_to_others() {
        let names = names(3);
        let mut members = members(&names);
        let declined = ["g1.000".to_owned(), "g1.001".to_owned()];
        members[0].declined = &declined;
        members[1].declined = &declined[..1];
        let ranks = place(&shards(16), &members);
        let all = |rank: &Ranks| [rank.owner.clone(), rank.standby.clone()];
        assert_eq!(all(&ranks[0]), [Some(names[2].clone()), None]);
        assert!(!all(&ranks[1]).contains(&Some(names[0].clone())));
        assert!(ranks.iter().all(|rank| rank.owner.is_some()));
    }

    fn ranked(ranks: &[Ranks], name: &str) -> usize {
        let ranked = |it: &&Ranks| [&it.owner, &it.standby].contains(&&Some(name.to_owned()));
        ranks.iter().filter(ranked).count()
    }

    #[test]
    fn a_worker_that_is_drained_leaves_its_shards_to_the_others_as_if_it_were_gone() {
        let names = names(4);
        let mut members = members(&names);
        let without = place(&shards(48), &members[1..]);
        members[0].draining = true;
        let ranks = place(&shards(48), &members);
        assert_eq!(ranks, without, "the others have equal shares and stand by");
        members.truncate(2);
        let ranks = place(&shards(48), &members);
        assert_eq!(owned(&ranks)[names[1].as_str()], 48);
        assert_eq!(ranked(&ranks, &names[0]), 0, "nor does it stand by");
    }

    #[test]
    fn a_worker_that_is_drained_keeps_what_nobody_else_has_room_for() {
        let names = names(3);
        let mut members = members(&names);
        let declined = ["g1.000".to_owned()];
        members[0].draining = true;
        for (member, capacity) in [(1, 2), (2, 3)] {
            members[member].capacity = Some(capacity);
            members[member].declined = &declined;
        }
        let ranks = place(&shards(8), &members);
        let owned = owned(&ranks);
        let counts: Vec<_> = names.iter().map(|name| owned[name.as_str()]).collect();
        assert_eq!(counts, [3, 2, 3]);
        assert_eq!(ranks[0].owner.as_ref(), Some(&names[0]));
        assert!(ranks[1..].iter().all(|ranks| ranks.standby.is_some()));
    }

    #[test]
    fn where_all_are_drained_each_has_its_share() {
        let names = names(3);
        let mut members = members(&names);
        let before = place(&shards(16), &members);
        for member in &mut members {
            member.draining = true;
        }
        assert_eq!(place(&shards(16), &members), before);
    }

    #[test]
    fn nobody_there_owns_nothing() {
        assert_eq!(place(&shards(2), &[]), vec![Ranks::default(); 2]);
    }
}
