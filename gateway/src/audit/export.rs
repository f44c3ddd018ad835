//! An organization's record as signed JSON Lines.

use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use futures::Stream;
use futures::stream::try_unfold;
use jiff::Timestamp;

use crate::domain::audit::{Header, Line, Signer, Trailer};
use crate::store::{Store, StoreError, TenantId, WriterId};

/// Rows read at a time, and about as many lines in one piece of the stream.
const PAGE: u32 = 500;

/// The record of an organization, as [`ExportCheck`](crate::domain::audit::ExportCheck) reads it.
///
/// Read page by page: however long the record is, one page of it is in memory.
/// An error ends the stream before its trailer, and the reader sees that.
pub fn export(
    store: Arc<dyn Store>,
    signer: Arc<Signer>,
    tenant: TenantId,
    organization: String,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static {
    let export = Export {
        store,
        signer,
        tenant,
        organization,
        digest: digest::Context::new(&digest::SHA256),
        records: 0,
        next: Next::Header,
    };
    try_unfold(export, async |mut export| {
        let piece = export.piece().await?;
        Ok(piece.map(|piece| (piece, export)))
    })
}

struct Export {
    store: Arc<dyn Store>,
    signer: Arc<Signer>,
    tenant: TenantId,
    organization: String,
    digest: digest::Context,
    records: u64,
    next: Next,
}

/// What the next piece begins with.
enum Next {
    Header,
    Checkpoints { after: u64 },
    Chains { writers: Vec<WriterId>, after: u64 },
    Trailer,
    End,
}

impl Export {
    /// The next lines; `None` after the trailer.
    async fn piece(&mut self) -> Result<Option<Bytes>, StoreError> {
        let mut lines = Vec::new();
        while lines.is_empty() {
            lines = match std::mem::replace(&mut self.next, Next::End) {
                Next::Header => self.header(),
                Next::Checkpoints { after } => self.checkpoints(after).await?,
                Next::Chains { writers, after } => self.chain(writers, after).await?,
                Next::Trailer => self.trailer(),
                Next::End => return Ok(None),
            };
        }
        let mut piece = Vec::new();
        for line in &lines {
            serde_json::to_writer(&mut piece, line)
                .map_err(|error| StoreError::corrupt("audit record", error))?;
            piece.push(b'\n');
        }
        self.digest.update(&piece);
        Ok(Some(piece.into()))
    }

    fn header(&mut self) -> Vec<Line> {
        self.next = Next::Checkpoints { after: 0 };
        let organization = self.organization.clone();
        let header = Header::new(self.tenant.0, organization, Timestamp::now(), &self.signer);
        vec![Line::Header(header)]
    }

    async fn checkpoints(&mut self, after: u64) -> Result<Vec<Line>, StoreError> {
        let page = self.store.checkpoints(self.tenant, after, PAGE).await?;
        let last = page.last().filter(|_| page.len() == PAGE as usize);
        let last = last.and_then(|last| last.statement().ok());
        self.next = match last {
            Some(last) => Next::Checkpoints { after: last.number },
            None => {
                let mut writers = self.store.audit_writers(self.tenant).await?;
                writers.reverse();
                Next::Chains { writers, after: 0 }
            }
        };
        Ok(page.into_iter().map(Line::Checkpoint).collect())
    }

    async fn chain(
        &mut self,
        mut writers: Vec<WriterId>,
        after: u64,
    ) -> Result<Vec<Line>, StoreError> {
        let Some(writer) = writers.last() else {
            self.next = Next::Trailer;
            return Ok(Vec::new());
        };
        let page = self
            .store
            .audit_chain(self.tenant, *writer, after, PAGE)
            .await?;
        self.records += page.len() as u64;
        let last = page.last().filter(|_| page.len() == PAGE as usize);
        let after = last.map_or(0, |last| last.sequence);
        if after == 0 {
            writers.pop();
        }
        self.next = Next::Chains { writers, after };
        let line = |record| Line::Record(Box::new(record));
        Ok(page.into_iter().map(line).collect())
    }

    fn trailer(&mut self) -> Vec<Line> {
        let digest = hex::encode(self.digest.clone().finish());
        vec![Line::Trailer(Trailer {
            records: self.records,
            signature: self.signer.sign(digest.as_bytes()),
            digest,
        })]
    }
}
