//! Deaths, cuts, partitions.

use super::link::{End, Kind, LinkId, Parcel};
use super::{Party, World};

impl World {
    fn tell(&mut self, trouble: &str) {
        let now = self.now();
        self.record.troubles.push((now, trouble.to_owned()));
    }

    /// The broker dies, as by `kill -9`, or because the power is gone. What it has written is on its way; the other ends
    /// hear that it is gone after that.
    pub(crate) fn kill_site(&mut self, site: usize) {
        self.tell(&format!("broker {site} dies"));
        self.sites[site].broker = None;
        let mut ended = Vec::new();
        for (id, link) in &mut self.links {
            for end in 0..2 {
                if matches!(&link.ends[end], End::Broker { site: at, .. } if *at == site) {
                    link.ends[end] = End::Gone; // dropped, not closed: nobody has a last word
                    ended.push((*id, end));
                }
            }
        }
        for (id, end) in ended {
            self.push(id, end, Parcel::End);
        }
    }

    /// The broker dies and is started again at once.
    pub(crate) fn restart_site(&mut self, site: usize) {
        self.kill_site(site);
        self.start_site(site);
    }

    /// The program of a person dies, likewise.
    pub(crate) fn kill_person(&mut self, person: usize) {
        self.tell(&format!("person {person} dies"));
        self.people[person].stop();
        let mut ended = Vec::new();
        for (id, link) in &mut self.links {
            if matches!(&link.ends[0], End::Person(at) if *at == person) {
                link.ends[0] = End::Gone;
                ended.push(*id);
            }
        }
        for id in ended {
            self.push(id, 0, Parcel::End);
        }
    }

    /// Cuts a connection: what is on its way is lost, and both ends are told.
    pub(crate) fn cut(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let parties = link.parties;
        for pipe in &mut link.pipes {
            pipe.clear();
        }
        link.silent = false;
        self.tell(&format!("the connection of {parties:?} breaks"));
        self.push(id, 0, Parcel::End);
        self.push(id, 1, Parcel::End);
    }

    /// Takes a connection away without telling anybody: each end believes that the other is still there.
    pub(crate) fn fall_silent(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.silent = true;
            let parties = link.parties;
            self.tell(&format!("the connection of {parties:?} falls silent"));
        }
    }

    /// Parts two machines: connections between them stand still, new ones fail.
    pub(crate) fn part(&mut self, a: Party, b: Party) {
        self.parted.insert((a.min(b), a.max(b)));
        for link in self.links.values_mut().filter(|link| link.joins(a, b)) {
            link.silent = true;
        }
    }

    /// Ends a partition: what was on its way goes on.
    pub(crate) fn heal(&mut self, a: Party, b: Party) {
        self.parted.remove(&(a.min(b), a.max(b)));
        for link in self.links.values_mut().filter(|link| link.joins(a, b)) {
            link.silent = false;
        }
    }

    /// Lists the connections of a kind that are open, oldest first.
    pub(crate) fn links_of(&self, kind: Kind) -> Vec<LinkId> {
        let open = self.links.iter().filter(|(_, link)| link.kind == kind && !link.ends.iter().any(End::is_gone));
        open.map(|(id, _)| *id).collect()
    }

    /// Returns the connection of a person.
    pub(crate) fn link_of(&self, person: usize) -> Option<LinkId> {
        self.people[person].link
    }
}
