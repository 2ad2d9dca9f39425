//! Sessions: what a connection is told before it works, the pools, and the first look at a server.

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use tokio::time::{Duration, timeout};
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket};

use super::error::{PostgresError, place};
use super::trouble::{passes, said};
use super::{PostgresSettings, STATEMENT_TIMEOUT_MS};
use crate::tls::{Tls, TlsError};

/// Partitions with runtime pruning for UPDATE, detaching without stopping the others.
const SERVER_VERSION_MIN: u32 = 14;
/// A lock that is not given by then is somebody else's for longer than anyone shall wait behind us.
const LOCK_TIMEOUT_MS: u64 = 2_000;
/// A process that stops in the middle of a transaction does not keep its rows locked for longer.
const IDLE_IN_TRANSACTION_MS: u64 = 10_000;
/// One look over a whole day's partition.
pub(super) const UPKEEP_TIMEOUT_MS: u64 = 10 * 60 * 1_000;
/// Acknowledged bytes that a dead peer leaves unanswered.
const TCP_SILENCE_MS: u64 = 10_000;
/// A connection that says nothing is asked whether its peer is still there: first after so many seconds, then every so many.
/// A peer that answers none of so many questions is gone, after 11 s; the library's own first question comes after 2 hours.
const KEEPALIVE_IDLE_S: u64 = 5;
const KEEPALIVE_INTERVAL_S: u64 = 2;
const KEEPALIVE_RETRIES: u32 = 3;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Prepared statements over arrays, planned once. A plan made while a table is empty would read all of it for ever
    /// after: with the other ways switched off, the server walks the index from the start.
    Hot,
    People,
    Upkeep,
}

pub(super) fn config(settings: &PostgresSettings, kind: Kind) -> Result<Config, PostgresError> {
    let mut config = read(settings)?;
    let planned = match kind {
        Kind::Hot => {
            " -c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off -c enable_bitmapscan=off \
             -c enable_hashjoin=off -c enable_mergejoin=off -c enable_memoize=off"
        }
        Kind::People | Kind::Upkeep => "",
    };
    let statement_timeout_ms = match kind {
        Kind::Hot | Kind::People => settings.statement_timeout_ms,
        Kind::Upkeep => UPKEEP_TIMEOUT_MS,
    };
    // Whatever the server's or the user's defaults are: groups rely on seeing what was committed before each statement, and
    // whoever is told of a commit relies on it being on disk, with a synchronous standby on that one's too. Nobody reads
    // from a standby, so `remote_apply` would wait for nothing that we need.
    let options = format!(
        "{} -c synchronous_commit=on -c default_transaction_isolation=read\\ committed \
         -c statement_timeout={statement_timeout_ms} \
         -c lock_timeout={LOCK_TIMEOUT_MS} -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MS}{planned}",
        config.get_options().unwrap_or_default()
    );
    config.options(options);
    config.connect_timeout(connect_timeout(settings, &config));
    config.tcp_user_timeout(Duration::from_millis(TCP_SILENCE_MS));
    config.keepalives(true);
    config.keepalives_idle(Duration::from_secs(KEEPALIVE_IDLE_S));
    config.keepalives_interval(Duration::from_secs(KEEPALIVE_INTERVAL_S));
    config.keepalives_retries(KEEPALIVE_RETRIES);
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_application_name().is_none() {
        config.application_name("otodoke");
    }
    Ok(config)
}

/// Of one host, of all those that the url names: one that takes no connection leaves time for the next.
fn connect_timeout(settings: &PostgresSettings, config: &Config) -> Duration {
    let hosts = u64::try_from(config.get_hosts().len()).unwrap_or(u64::MAX);
    Duration::from_millis((settings.create_timeout_ms / hosts.saturating_add(1)).max(1))
}

/// The url, with TLS on or off: the library's `prefer` would be content with whatever answers.
fn read(settings: &PostgresSettings) -> Result<Config, PostgresError> {
    // A certificate is always held against its authority and the host's name, so both words ask for the same.
    let url = settings.url.expose().replace("sslmode=verify-full", "sslmode=require");
    let mut config: Config = url.parse().map_err(|_| PostgresError::Url)?;
    if config.get_hosts().is_empty() {
        return Err(PostgresError::Url);
    }
    let demanded = config.get_ssl_mode() == SslMode::Require || settings.ca_file.is_some();
    if demanded && config.get_ssl_mode() == SslMode::Disable {
        return Err(PostgresError::Trust {
            why: "ca_file is set and the url says sslmode=disable; keep one".to_owned(),
        });
    }
    config.ssl_mode(if demanded { SslMode::Require } else { SslMode::Disable });
    Ok(config)
}

/// Whether another server may take what one takes no more.
pub(super) fn names_several(settings: &PostgresSettings) -> bool {
    read(settings).is_ok_and(|config| config.get_hosts().len() > 1)
}

/// How the server is spoken to; `None` is plainly.
pub(super) fn tls(settings: &PostgresSettings) -> Result<Option<Tls>, PostgresError> {
    if read(settings)?.get_ssl_mode() != SslMode::Require {
        return Ok(None);
    }
    let unread = |error: TlsError| PostgresError::Trust { why: error.to_string() };
    Tls::read(settings.ca_file.as_deref()).map(Some).map_err(unread)
}

pub(super) fn pool(settings: &PostgresSettings, kind: Kind, size: usize) -> Result<Pool, PostgresError> {
    let config = config(settings, kind)?;
    let at = place(&config);
    // A look whether the connection is closed is enough: a statement that fails for it is tried again.
    let how = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match tls(settings)? {
        None => Manager::from_config(config, NoTls, how),
        #[cfg(feature = "tls")]
        Some(tls) => Manager::from_config(config, connector(tls), how),
        #[cfg(not(feature = "tls"))]
        Some(never) => match never {},
    };
    let built = Pool::builder(manager)
        .max_size(size)
        .wait_timeout(Some(Duration::from_millis(settings.wait_timeout_ms)))
        .create_timeout(Some(Duration::from_millis(settings.create_timeout_ms)))
        .recycle_timeout(Some(Duration::from_millis(settings.recycle_timeout_ms)))
        .runtime(Runtime::Tokio1)
        .build();
    built.map_err(|error| PostgresError::Refused { at, why: error.to_string() })
}

/// Why the pool gave no connection.
pub(super) fn unpooled(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) => said(error),
        PoolError::Timeout(_) | PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
            format!("no connection: {error}")
        }
    }
}

/// A connection of its own for upkeep, on a server that was looked at: reachable, ours to write, new enough.
pub(super) async fn probe(settings: &PostgresSettings) -> Result<Client, PostgresError> {
    let mut config = config(settings, Kind::Upkeep)?;
    if config.get_hosts().len() == 1 {
        // A server that takes no writes shall be named as that; of several, the one that takes them is looked for.
        config.target_session_attrs(TargetSessionAttrs::Any);
    }
    let client = connect(settings, &config).await?;
    let at = place(&config);
    let refused = |error: tokio_postgres::Error| {
        let (at, why) = (at.clone(), said(&error));
        if passes(&error) { PostgresError::Busy { at, why } } else { PostgresError::Refused { at, why } }
    };
    let sql = "SELECT current_setting('server_version_num')::bigint, current_setting('server_version'),
                      pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
    let waited_ms = settings.create_timeout_ms;
    let silent = |_| PostgresError::Silent { at: at.clone(), waited_ms };
    let answer = timeout(Duration::from_millis(waited_ms), client.query_one(sql, &[])).await.map_err(silent)?;
    let row = answer.map_err(refused)?;
    let (version, found): (i64, String) = (row.get(0), row.get(1));
    if version / 10_000 < i64::from(SERVER_VERSION_MIN) {
        return Err(PostgresError::TooOld { at, found, least: SERVER_VERSION_MIN });
    }
    let (standby, read_only): (bool, bool) = (row.get(2), row.get(3));
    if standby || read_only {
        let why = if standby { "it is a standby" } else { "default_transaction_read_only is on" }.to_owned();
        return Err(PostgresError::ReadOnly { at, why });
    }
    Ok(client)
}

async fn connect(settings: &PostgresSettings, config: &Config) -> Result<Client, PostgresError> {
    let waited_ms = settings.create_timeout_ms;
    let silent = || PostgresError::Silent { at: place(config), waited_ms };
    let tls = tls(settings)?;
    let connecting = async {
        match tls {
            None => connect_by(config, NoTls).await,
            #[cfg(feature = "tls")]
            Some(tls) => connect_by(config, connector(tls)).await,
            #[cfg(not(feature = "tls"))]
            Some(never) => match never {},
        }
    };
    let connected = timeout(Duration::from_millis(waited_ms), connecting).await.map_err(|_| silent())?;
    connected.map_err(|error| PostgresError::connecting(config, &error))
}

async fn connect_by<T>(config: &Config, tls: T) -> Result<Client, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket, Stream: Send + 'static>,
{
    let (client, connection) = config.connect(tls).await?;
    tokio::spawn(async move {
        // The client's next statement says what broke it.
        drop(connection.await);
    });
    Ok(client)
}

#[cfg(feature = "tls")]
fn connector(tls: Tls) -> tokio_postgres_rustls::MakeRustlsConnect {
    tokio_postgres_rustls::MakeRustlsConnect::new(std::sync::Arc::unwrap_or_clone(tls.0))
}

const _: () = assert!(LOCK_TIMEOUT_MS < STATEMENT_TIMEOUT_MS, "a lock that is not given is named as that");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn every_session_waits_for_the_disk_whatever_the_url_says() {
        let url = "postgres://otodoke@localhost/otodoke?options=-c%20synchronous_commit%3Doff";
        for kind in [Kind::Hot, Kind::People, Kind::Upkeep] {
            let config = config(&PostgresSettings::new(Secret::new(url)), kind).expect("a good url");
            let options = config.get_options().expect("some").to_owned();
            // The last one counts.
            let last = options.rsplit("synchronous_commit=").next().expect("a part");
            assert!(last.starts_with("on "), "{kind:?}: {options}");
        }
    }

    #[test]
    fn a_silent_host_leaves_time_for_those_named_after_it() {
        for (url, hosts) in [("postgres://otodoke@one/otodoke", 1), ("postgres://otodoke@one,two,three/otodoke", 3)] {
            let settings = PostgresSettings::new(Secret::new(url));
            let config = config(&settings, Kind::Hot).expect("a good url");
            let each = *config.get_connect_timeout().expect("a limit");
            assert!(each * hosts < Duration::from_millis(settings.create_timeout_ms), "{url}: {each:?}");
        }
    }

    #[test]
    fn a_connection_whose_peer_is_gone_is_found_out_within_seconds() {
        let settings = PostgresSettings::new(Secret::new("postgres://otodoke@localhost/otodoke"));
        for kind in [Kind::Hot, Kind::People, Kind::Upkeep] {
            let config = config(&settings, kind).expect("a good url");
            let interval = config.get_keepalives_interval().expect("an interval");
            let retries = config.get_keepalives_retries().expect("so many questions");
            let gone_after = config.get_keepalives_idle() + interval * retries;
            assert!(config.get_keepalives() && gone_after < Duration::from_secs(15), "{kind:?}: {gone_after:?}");
        }
    }
}
