//! What a server says to the others of itself, and hears of them.

use std::{sync::atomic::Ordering, time::Duration};

use raw_ws::clock::now;

use super::{
    Books, Cluster,
    audit::{self, Contact, Found},
    health::{Gap, Health},
    ledger::channel_digest,
    notes::{Audit, Beat, Note, Published},
};
use crate::backplanes::Publication;

impl Cluster {
    /// Whether what is published now comes to the others, and theirs here.
    pub(crate) fn is_ready(&self) -> bool {
        self.health.lock().is_ready()
    }

    /// How many other servers of this crate are there.
    pub(crate) fn others(&self) -> usize {
        self.health.lock().others()
    }

    /// The full name of another server that is there, by the end of it that tokens have.
    pub(crate) fn server_of_token(&self, end: &str) -> Option<String> {
        self.health.lock().server_ending_in(end)
    }

    /// Says to all that it is there.
    pub(crate) fn beat(&self) {
        let mut books = self.books.lock();
        let beat = self.beat_of(&books);
        self.write(&mut books, &self.channels.notes, &beat);
    }

    /// The same to one that has just come.
    pub(crate) fn beat_to(&self, server: &str) {
        let mut books = self.books.lock();
        let beat = self.beat_of(&books);
        self.write(&mut books, &self.channels.notes_to(server), &beat);
    }

    fn beat_of(&self, books: &Books) -> Note {
        Note::Beat(Beat {
            from: self.name().to_owned(),
            published: books.ledger.published(),
            doubtful: books.ledger.doubtful(),
            presence: self.presence.load(Ordering::Acquire),
        })
    }

    /// Writes a note to one of them.
    pub(crate) fn write_to(&self, server: &str, note: &Note) {
        let channel = self.channels.notes_to(server);
        self.write(&mut self.books.lock(), &channel, note);
    }

    /// Writes a note to all of them, this one too.
    pub(crate) fn write_to_all(&self, note: &Note) {
        self.write(&mut self.books.lock(), &self.channels.notes, note);
    }

    /// In order with what is published. Refused, it is not there: the next says the same.
    fn write(&self, _in_order: &mut Books, channel: &str, note: &Note) {
        if let Some(link) = self.link.get() {
            let mut publication = Publication::new(channel, note.encode());
            publication.is_for_every_server = *channel == *self.channels.notes;
            let _ = link.publish(publication);
        }
    }

    /// A beat has come. What its server is to be asked.
    pub(crate) fn beaten(&self, beat: &Beat) -> Option<audit::Question> {
        if beat.from == self.name() {
            let mut books = self.books.lock();
            books.ledger.beat_is_back(beat.published);
            books.is_marked = false;
            books.auditor.beat_of_its_own(now());
            drop(books);
            self.health.lock().heard_itself();
            return None;
        }
        self.health.lock().heard(&beat.from);
        let contact = if self.health.lock().has_gap() {
            Contact::InAGap
        } else {
            Contact::Usual
        };
        let subscribed = self.subscribed.lock();
        let channels = subscribed.iter();
        let channels = channels.map(|(channel, known)| (channel_digest(channel), known.since));
        let question = self
            .books
            .lock()
            .auditor
            .beat(beat, contact, channels, now())?;
        self.health.lock().doubts();
        Some(question)
    }

    /// All that it had published up to here has come back, or never will.
    pub(crate) fn marked(&self, published: u64) {
        let mut books = self.books.lock();
        books.ledger.settle(published);
        books.is_marked = false;
    }

    /// Has a look at the oldest message that is to come back. If it is the same as `before`, it is late,
    /// and perhaps lost: what follows it tells. Gives its number.
    pub(crate) fn look_after_expected(&self, before: Option<u64>) -> Option<u64> {
        let mut books = self.books.lock();
        let oldest = books.ledger.oldest_expected()?;
        if before == Some(oldest) && !books.is_marked {
            books.is_marked = true;
            let published = books.ledger.published();
            let mark = Note::Mark { published };
            self.write(&mut books, &self.channels.own_notes, &mark);
        }
        Some(oldest)
    }

    /// What it has published between two numbers, and whether it remembers all of it.
    pub(crate) fn between(&self, after: u64, up_to: u64) -> (Vec<Published>, bool) {
        self.books.lock().ledger.between(after, up_to, now())
    }

    /// Another server says what it has published.
    pub(crate) fn audited(&self, audit: &Audit) {
        let found: Option<Found> = self.books.lock().auditor.answered(audit, now());
        if let Some(found) = found {
            self.health.lock().found(found);
        }
    }

    /// A gap of which all is known that will be.
    pub(crate) fn close_gap(&self) -> Option<Gap> {
        let mut books = self.books.lock();
        self.health.lock().close(&mut books.auditor)
    }

    /// Those who are gone, and for how long they have been silent.
    pub(crate) fn forget_silent(&self) -> Vec<(String, Duration)> {
        let silent = self.health.lock().take_silent();
        let mut books = self.books.lock();
        for (server, _) in &silent {
            books.auditor.gone(server);
        }
        silent
    }

    /// From here on messages may be missed.
    pub(crate) fn interrupted(&self) {
        let mut books = self.books.lock();
        books.auditor.interrupted();
        books.is_marked = false;
        drop(books);
        self.health.lock().interrupted();
    }

    /// Some of what it has published may be lost.
    pub(crate) fn doubts(&self) {
        let mut books = self.books.lock();
        books.ledger.doubts();
        books.is_marked = false;
    }

    /// The others are in reach again, or for the first time.
    pub(crate) fn resumed(&self) {
        Health::resumed(&mut self.health.lock());
        self.greet();
    }

    /// Says that it hears the others from here on.
    pub(super) fn greet(&self) {
        let from = self.name().to_owned();
        self.write_to_all(&Note::Hello { from });
    }
}
