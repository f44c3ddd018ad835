//! Connections with upstream servers, and the lease on refreshing them.

use async_trait::async_trait;
use uuid::Uuid;

use super::browsers::{after, hash, holder, holder_of};
use super::sessions::add_organization;
use super::{Engine, SqlStore, Transaction, Value, json, timestamp};
use crate::encryption::Sealed;
use crate::store::{
    Connection, ConnectionState, ConnectionStore, NewConnection, RefreshLease, SealedTokens,
    StoreError, TenantId,
};

/// How long a refresh may take: longer than an authorization server is waited for.
const LEASE_SECONDS: u32 = 15;

/// The columns of a connection, in the order of [`ConnectionRow`].
macro_rules! connection_columns {
    () => {
        "id, server, holder, connected_by, issuer, binding, scopes, tokens, version, state, \
         expires_at, refreshable, lease_epoch, leased_until, sent, attempts, connected_at, updated_at"
    };
}
pub(super) use connection_columns;

const REPLACE: &str = "DELETE FROM oauth_tokens WHERE tenant_id = $1 AND server = $2 AND holder = $3 \
     AND state IN ('connected', 'reconnect')";

const INSERT: &str = "INSERT INTO oauth_tokens \
     (tenant_id, id, server, holder, connected_by, issuer, binding, scopes, tokens, version, state, \
      expires_at, refreshable, attempt_at, connected_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $12, $13, $13, $13)";

const GET: &str = concat!(
    "SELECT ",
    connection_columns!(),
    " FROM oauth_tokens WHERE tenant_id = $1 AND server = $2 AND holder = $3 \
     AND state IN ('connected', 'reconnect')"
);

const LIST: &str = concat!(
    "SELECT ",
    connection_columns!(),
    " FROM oauth_tokens WHERE tenant_id = $1 AND holder IN ($2, '') ORDER BY server, connected_at LIMIT 1000"
);

const LEASE: &str = "UPDATE oauth_tokens \
     SET lease_epoch = lease_epoch + 1, leased_until = $4, sent = 0 \
     WHERE tenant_id = $1 AND id = $2 AND version = $3 AND state = 'connected' \
     AND leased_until <= $5 AND (sent = 0 OR $6 = 1) RETURNING lease_epoch";

const NOTE_SENT: &str = "UPDATE oauth_tokens SET sent = 1 \
     WHERE tenant_id = $1 AND id = $2 AND lease_epoch = $3 AND leased_until > $4";

const FINISH: &str = "UPDATE oauth_tokens SET tokens = $4, version = version + 1, expires_at = $5, \
     refreshable = $6, scopes = coalesce($7, scopes), updated_at = $8, leased_until = 0, sent = 0, \
     state = CASE state WHEN 'reconnect' THEN 'connected' WHEN 'unrevoked' THEN 'revoking' ELSE state END \
     WHERE tenant_id = $1 AND id = $2 AND lease_epoch = $3";

const GIVE_UP: &str = "UPDATE oauth_tokens SET leased_until = 0, sent = 0 \
     WHERE tenant_id = $1 AND id = $2 AND lease_epoch = $3";

const RECONNECT: &str = "UPDATE oauth_tokens SET state = 'reconnect', leased_until = 0 \
     WHERE tenant_id = $1 AND id = $2 AND version = $3 AND lease_epoch = $4 AND state = 'connected'";

#[derive(sqlx::FromRow)]
pub(super) struct ConnectionRow {
    id: Uuid,
    server: String,
    holder: String,
    connected_by: String,
    issuer: String,
    binding: Vec<u8>,
    scopes: String,
    tokens: Vec<u8>,
    version: i64,
    state: String,
    expires_at: i64,
    refreshable: i64,
    lease_epoch: i64,
    leased_until: i64,
    sent: i64,
    attempts: i64,
    connected_at: i64,
    updated_at: i64,
}

impl ConnectionRow {
    pub(super) fn read(self, read_at: i64) -> Result<Connection, StoreError> {
        const WHAT: &str = "connection";
        let scopes = serde_json::from_value(json(WHAT, &self.scopes)?);
        let mut states = ConnectionState::ALL.into_iter();
        let state = states.find(|state| state.name() == self.state);
        Ok(Connection {
            id: self.id,
            server: self.server,
            holder: holder_of(self.holder),
            connected_by: self.connected_by,
            issuer: self.issuer,
            binding: hash(WHAT, &self.binding)?,
            scopes: scopes.map_err(|error| StoreError::corrupt(WHAT, error))?,
            tokens: Sealed::from_bytes(self.tokens)
                .map_err(|error| StoreError::corrupt(WHAT, error))?,
            version: self.version,
            state: state.ok_or_else(|| StoreError::corrupt(WHAT, "its state is none"))?,
            expires_at: (self.expires_at != i64::MAX).then_some(self.expires_at),
            refreshable: self.refreshable != 0,
            lease_epoch: self.lease_epoch,
            leased_until: self.leased_until,
            sent: self.sent != 0,
            attempts: self.attempts,
            connected_at: timestamp(WHAT, self.connected_at)?,
            updated_at: timestamp(WHAT, self.updated_at)?,
            read_at,
        })
    }
}

#[async_trait]
impl<E: Engine> ConnectionStore for SqlStore<E> {
    async fn connect(&self, tenant: TenantId, new: &NewConnection) -> Result<(), StoreError> {
        let in_place_of = [
            tenant.into(),
            (&new.server).into(),
            holder(new.holder.as_deref()),
        ];
        let mut transaction = self.engine.write(tenant).await?;
        let now = self.engine.clock(&mut transaction).await?;
        add_organization(&mut transaction, tenant, now).await?;
        // Two who connect the same at the same time come one after the other.
        let key = format!(
            "{}\n{}",
            new.server,
            new.holder.as_deref().unwrap_or_default()
        );
        self.engine
            .lock_user(&mut transaction, tenant, &key)
            .await?;
        transaction.execute(REPLACE, &in_place_of).await?;
        insert(
            &mut transaction,
            tenant,
            new,
            ConnectionState::Connected,
            now,
        )
        .await?;
        transaction.commit().await
    }

    async fn connection(
        &self,
        tenant: TenantId,
        server: &str,
        user: Option<&str>,
    ) -> Result<Option<Connection>, StoreError> {
        let values = [tenant.into(), server.into(), holder(user)];
        let mut transaction = self.engine.read(tenant).await?;
        let now = self.engine.clock(&mut transaction).await?;
        let found: Option<ConnectionRow> = transaction.rows(GET, &values).await?.pop();
        transaction.commit().await?;
        found.map(|row| row.read(now)).transpose()
    }

    async fn connections(
        &self,
        tenant: TenantId,
        user: &str,
    ) -> Result<Vec<Connection>, StoreError> {
        let mut transaction = self.engine.read(tenant).await?;
        let now = self.engine.clock(&mut transaction).await?;
        let rows: Vec<ConnectionRow> = transaction
            .rows(LIST, &[tenant.into(), user.into()])
            .await?;
        transaction.commit().await?;
        rows.into_iter().map(|row| row.read(now)).collect()
    }

    async fn lease_refresh(
        &self,
        tenant: TenantId,
        id: Uuid,
        version: i64,
        again: bool,
    ) -> Result<Option<RefreshLease>, StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        let now = self.engine.clock(&mut transaction).await?;
        let values = [
            tenant.into(),
            id.into(),
            version.into(),
            after(now, LEASE_SECONDS).into(),
            now.into(),
            i64::from(again).into(),
        ];
        let taken: Option<(i64,)> = transaction.rows(LEASE, &values).await?.pop();
        transaction.commit().await?;
        Ok(taken.map(|(epoch,)| RefreshLease { id, epoch }))
    }

    async fn note_sent(&self, tenant: TenantId, lease: RefreshLease) -> Result<bool, StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        let now = self.engine.clock(&mut transaction).await?;
        let values = [
            tenant.into(),
            lease.id.into(),
            lease.epoch.into(),
            now.into(),
        ];
        let noted = transaction.execute(NOTE_SENT, &values).await?;
        transaction.commit().await?;
        Ok(noted > 0)
    }

    async fn finish_refresh(
        &self,
        tenant: TenantId,
        lease: RefreshLease,
        tokens: &SealedTokens,
        scopes: Option<&[String]>,
    ) -> Result<bool, StoreError> {
        let scopes = scopes.map(|scopes| serde_json::json!(scopes).to_string());
        let mut transaction = self.engine.write(tenant).await?;
        let now = self.engine.clock(&mut transaction).await?;
        let values = [
            tenant.into(),
            lease.id.into(),
            lease.epoch.into(),
            Value::Bytes(Some(tokens.tokens.as_bytes())),
            end(now, tokens).into(),
            i64::from(tokens.refreshable).into(),
            scopes.as_deref().into(),
            now.into(),
        ];
        let kept = transaction.execute(FINISH, &values).await?;
        transaction.commit().await?;
        Ok(kept > 0)
    }

    async fn give_up_refresh(
        &self,
        tenant: TenantId,
        lease: RefreshLease,
    ) -> Result<(), StoreError> {
        let values = [tenant.into(), lease.id.into(), lease.epoch.into()];
        let mut transaction = self.engine.write(tenant).await?;
        transaction.execute(GIVE_UP, &values).await?;
        transaction.commit().await
    }

    async fn require_reconnect(
        &self,
        tenant: TenantId,
        id: Uuid,
        version: i64,
        epoch: i64,
    ) -> Result<bool, StoreError> {
        let values = [tenant.into(), id.into(), version.into(), epoch.into()];
        let mut transaction = self.engine.write(tenant).await?;
        let changed = transaction.execute(RECONNECT, &values).await?;
        transaction.commit().await?;
        Ok(changed > 0)
    }
}

pub(super) async fn insert(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    new: &NewConnection,
    state: ConnectionState,
    now: i64,
) -> Result<(), StoreError> {
    let scopes = serde_json::json!(new.scopes);
    let values = [
        tenant.into(),
        new.id.into(),
        (&new.server).into(),
        holder(new.holder.as_deref()),
        (&new.connected_by).into(),
        (&new.issuer).into(),
        Value::Bytes(Some(&new.binding)),
        (&scopes).into(),
        Value::Bytes(Some(new.tokens.tokens.as_bytes())),
        state.name().into(),
        end(now, &new.tokens).into(),
        i64::from(new.tokens.refreshable).into(),
        now.into(),
    ];
    transaction.execute(INSERT, &values).await?;
    Ok(())
}

/// When tokens end; never as far as anybody knows, where their life was not told.
fn end(now: i64, tokens: &SealedTokens) -> i64 {
    let microseconds = |seconds: u64| {
        i64::try_from(seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000)
    };
    let life = tokens.lifetime_seconds.map(microseconds);
    life.map_or(i64::MAX, |life| now.saturating_add(life))
}
