//! Sealed values, found by the keys that sealed them.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Engine, SqlStore, Transaction, Value};
use crate::encryption::{Location, Sealed, SealedColumn};
use crate::store::{SealedRow, SealedStore, StoreError, TenantId};

/// What is asked of one column.
struct Statements {
    next_key: &'static str,
    count: &'static str,
    rows: &'static str,
    replace: &'static str,
}

/// The statements of one column. Statements are whole texts of the program, never
/// put together while it runs: hence the names stand here too, as literals.
macro_rules! statements {
    ($table:literal, $column:literal) => {
        Statements {
            next_key: concat!(
                "SELECT min(",
                $column,
                "_key) FROM ",
                $table,
                " WHERE ",
                $column,
                "_key > $1"
            ),
            count: concat!(
                "SELECT count(*) FROM ",
                $table,
                " WHERE ",
                $column,
                "_key = $1"
            ),
            rows: concat!(
                "SELECT tenant_id, id, ",
                $column,
                " FROM ",
                $table,
                " WHERE ",
                $column,
                "_key = $1 \
                 AND (tenant_id, id) > ($2, $3) ORDER BY tenant_id, id LIMIT $4"
            ),
            replace: concat!(
                "UPDATE ",
                $table,
                " SET ",
                $column,
                " = $4 \
                 WHERE tenant_id = $1 AND id = $2 AND ",
                $column,
                " = $3"
            ),
        }
    };
}

/// Does not compile while a column of the list is missing.
const fn statements(column: SealedColumn) -> Statements {
    match column {
        SealedColumn::McpCredentials => statements!("mcp_configs", "credentials"),
        SealedColumn::OAuthTokens => statements!("oauth_tokens", "tokens"),
    }
}

/// A sealed value as it was kept.
pub(super) fn read(bytes: Vec<u8>) -> Result<Sealed, StoreError> {
    Sealed::from_bytes(bytes).map_err(|error| StoreError::corrupt("sealed value", error))
}

#[async_trait]
impl<E: Engine> SealedStore for SqlStore<E> {
    async fn sealed_key_ids(&self, column: SealedColumn) -> Result<Vec<String>, StoreError> {
        let mut transaction = self.engine.work().await?;
        let mut found: Vec<String> = Vec::new();
        loop {
            let last = found.last().map_or("", String::as_str);
            let next: Vec<(Option<String>,)> = transaction
                .rows(statements(column).next_key, &[last.into()])
                .await?;
            match next.into_iter().next() {
                Some((Some(id),)) => found.push(id),
                _ => break,
            }
        }
        transaction.commit().await?;
        Ok(found)
    }

    async fn count_sealed(&self, column: SealedColumn, key_id: &str) -> Result<u64, StoreError> {
        let mut transaction = self.engine.work().await?;
        let counted: Vec<(i64,)> = transaction
            .rows(statements(column).count, &[key_id.into()])
            .await?;
        transaction.commit().await?;
        Ok(counted.first().map_or(0, |(count,)| count.unsigned_abs()))
    }

    async fn sealed_rows(
        &self,
        column: SealedColumn,
        key_id: &str,
        after: Option<(TenantId, Uuid)>,
        limit: u32,
    ) -> Result<Vec<SealedRow>, StoreError> {
        let (tenant, row) = after.unwrap_or((TenantId(Uuid::nil()), Uuid::nil()));
        let values = [
            key_id.into(),
            tenant.into(),
            row.into(),
            i64::from(limit).into(),
        ];
        let mut transaction = self.engine.work().await?;
        let rows: Vec<(Uuid, Uuid, Vec<u8>)> =
            transaction.rows(statements(column).rows, &values).await?;
        transaction.commit().await?;
        let row = |(tenant, row, bytes)| SealedRow {
            location: Location {
                tenant: TenantId(tenant),
                column,
                row,
            },
            bytes,
        };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn replace_sealed(
        &self,
        column: SealedColumn,
        replacements: &[(SealedRow, Sealed)],
    ) -> Result<u64, StoreError> {
        let mut transaction = self.engine.work().await?;
        let mut replaced = 0;
        for (row, new) in replacements {
            let values = [
                row.location.tenant.into(),
                row.location.row.into(),
                Value::Bytes(Some(&row.bytes)),
                Value::Bytes(Some(new.as_bytes())),
            ];
            replaced += transaction
                .execute(statements(column).replace, &values)
                .await?;
        }
        transaction.commit().await?;
        Ok(replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statements_of_a_column_are_about_its_own_table() {
        for column in SealedColumn::ALL {
            let statements = statements(column);
            let words = |statement: &str| {
                let names: Vec<String> = statement
                    .split(|character: char| !character.is_alphanumeric() && character != '_')
                    .map(str::to_owned)
                    .collect();
                names
            };
            for statement in [
                statements.next_key,
                statements.count,
                statements.rows,
                statements.replace,
            ] {
                let words = words(statement);
                let (key, table) = (format!("{}_key", column.column()), column.table());
                assert!(words.iter().any(|word| word == table), "{statement}");
                assert!(
                    words
                        .iter()
                        .any(|word| *word == key || word == column.column()),
                    "{statement}"
                );
            }
        }
    }
}
