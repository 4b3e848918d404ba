//! How the servers of a hub keep in touch: each says once a second that it is there, and what it has
//! published; and they answer each other's questions.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    events,
    reach::{
        cluster::{
            Cluster,
            health::BEAT,
            notes::{Audit, Note, Question},
        },
        presence::roll::Known,
        registry::Registry,
        tokens_elsewhere,
    },
};

/// How long a message of this server may take to come back before it is looked after.
const LATE: Duration = Duration::from_millis(20);

/// Says so as long as there is a hub. `expects` tells of messages that are to come back.
pub(crate) async fn keep(registry: Weak<Registry>, expects: Arc<Notify>) {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut look: Option<(Instant, u64)> = None;
    loop {
        let look_at = look.map_or_else(Instant::now, |(at, _)| at);
        let is_beat = tokio::select! {
            _ = beats.tick() => true,
            () = expects.notified(), if look.is_none() => false,
            () = sleep_until(look_at), if look.is_some() => false,
        };
        let Some(registry) = registry.upgrade() else {
            return;
        };
        let Some(cluster) = registry.cluster() else {
            return;
        };
        if is_beat {
            cluster.beat();
            look_after(&registry, cluster);
        } else {
            let number = cluster.look_after_expected(look.map(|(_, number)| number));
            look = number.map(|number| (Instant::now() + LATE, number));
        }
    }
}

/// What is due, whether anything has come or not.
fn look_after(registry: &Registry, cluster: &Arc<Cluster>) {
    for (server, silent_for) in cluster.forget_silent() {
        events::server_gone(&server);
        if let Some(attendance) = registry.attendance() {
            attendance.gone(&server, silent_for);
        }
    }
    close_gap(registry, cluster);
}

/// Tells of a gap, once all is known of it.
fn close_gap(registry: &Registry, cluster: &Arc<Cluster>) {
    if let Some(gap) = cluster.close_gap() {
        events::backplane_gap(
            cluster.channels.prefix(),
            gap.missed,
            gap.is_complete,
            gap.lasted,
        );
        registry.tell_gap(gap);
    }
}

/// Takes a note in.
pub(crate) fn read(registry: &Registry, cluster: &Arc<Cluster>, note: Note) {
    match note {
        Note::Beat(beat) => {
            if let Some(question) = cluster.beaten(&beat) {
                let note = Note::AuditRequest {
                    from: cluster.name().to_owned(),
                    after: question.after,
                    up_to: question.up_to,
                };
                cluster.write_to(&beat.from, &note);
            }
            if let Some(attendance) = registry.attendance()
                && beat.from != cluster.name()
            {
                let known = attendance.has_version(&beat.from, beat.presence);
                ask_roll(cluster, &beat.from, known);
            }
        }
        Note::Presence {
            from,
            version,
            place,
            is_there,
        } => {
            if let Some(attendance) = registry.attendance()
                && from != cluster.name()
            {
                let known = attendance.changed(&from, version, &place, is_there);
                ask_roll(cluster, &from, known);
            }
        }
        Note::RollRequest { from } => {
            if let Some(attendance) = registry.attendance() {
                let (version, members) = attendance.here();
                let roll = Note::Roll {
                    from: cluster.name().to_owned(),
                    version,
                    members,
                };
                cluster.write_to(&from, &roll);
            }
        }
        Note::Roll {
            from,
            version,
            members,
        } => {
            if let Some(attendance) = registry.attendance() {
                attendance.whole(&from, version, members);
            }
        }
        Note::Hello { from } => cluster.beat_to(&from),
        Note::Mark { published } => cluster.marked(published),
        Note::AuditRequest { from, after, up_to } => {
            let (published, is_whole) = cluster.between(after, up_to);
            let audit = Audit {
                from: cluster.name().to_owned(),
                up_to,
                is_whole,
                published,
            };
            cluster.write_to(&from, &Note::Audit(audit));
        }
        Note::Audit(audit) => {
            cluster.audited(&audit);
            close_gap(registry, cluster);
        }
        Note::Question { from, id, question } => {
            if from != cluster.name() {
                let reply = Note::Reply {
                    from: cluster.name().to_owned(),
                    id,
                    answer: answer(registry, &question),
                };
                cluster.write_to(&from, &reply);
            }
        }
        Note::Claim {
            from,
            id,
            path,
            token,
        } => {
            let reply = Note::Reply {
                from: cluster.name().to_owned(),
                id,
                answer: tokens_elsewhere::give_away(&registry.paths, &path, &token),
            };
            cluster.write_to(&from, &reply);
        }
        Note::Reply { id, answer, .. } => cluster.replied(id, answer),
    }
}

fn ask_roll(cluster: &Cluster, server: &str, known: Known) {
    if known == Known::Behind {
        let from = cluster.name().to_owned();
        cluster.write_to(server, &Note::RollRequest { from });
    }
}

/// What this server knows.
pub(crate) fn answer(registry: &Registry, question: &Question) -> Vec<String> {
    let ids = match question {
        Question::Members(group) => registry.members(group),
        Question::ConnectionsOf(user) => registry.connections_of(user),
        Question::Everybody => registry.all().iter().map(|live| live.id.clone()).collect(),
        Question::Count => return vec![registry.len().to_string()],
    };
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}
