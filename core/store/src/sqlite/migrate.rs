//! From whatever file is there to a store of the present schema.

use super::fault::Fault;
use super::schema::{APPLICATION_ID, STEPS};
use rusqlite::{Connection, TransactionBehavior};

/// Checks that the file is a store or empty, and brings it to the present schema, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    let version = version(connection)?;
    if version == 0 {
        // So that what is deleted can be given back; it cannot be chosen once there is a table.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    // Only now that the file is known to be ours: this writes to it.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    if version == STEPS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &STEPS[version..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", STEPS.len() as u32)?;
    Ok(transaction.commit()?)
}

/// What is left of a WAL that grew large, once it was moved into the file.
const WAL_BYTES_KEPT: i64 = 16 << 20;

/// How many steps the file has behind it; 0 if it is empty.
fn version(connection: &Connection) -> Result<usize, Fault> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number("application_id")?;
    let version = number("user_version")?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if (application, version, tables) == (0, 0, 0) {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(Fault::Damaged("a database of another application".to_owned()));
    }
    match usize::try_from(version) {
        Ok(version) if (1..=STEPS.len()).contains(&version) => Ok(version),
        Ok(0) | Err(_) => Err(Fault::Damaged(format!("`user_version` is {version}"))),
        Ok(_) => Err(Fault::Newer(version)),
    }
}
