//! Organizations from nothing until all are ready.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use kube::Client;

use super::baseline::Baseline;
use super::clients::{create_members, create_organization};
use super::process::Operator;
use super::ready::{Ready, namespaces};
use super::writes::Mark;
use super::{SPEED, scene};
use crate::arguments::OperatorOptions;
use crate::report::{Bar, Report};
use crate::usage::cpu_seconds;

/// Longest time until the operator has made all namespaces.
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// Finalizers of an organization without workloads: its own.
pub(super) const FINALIZERS: usize = 1;

/// Creates organizations and notes what that took.
pub(super) struct Fresh<'a> {
    options: &'a OperatorOptions,
    engineer: &'a Client,
    ready: &'a Ready,
    operator: &'a Operator,
    organizations: usize,
    seconds: f64,
    operator_cpu: f64,
    apiserver_cpu: f64,
    writes: HashMap<String, usize>,
}

impl<'a> Fresh<'a> {
    pub(super) fn new(
        options: &'a OperatorOptions,
        engineer: &'a Client,
        ready: &'a Ready,
        operator: &'a Operator,
    ) -> Self {
        Self {
            options,
            engineer,
            ready,
            operator,
            organizations: 0,
            seconds: 0.0,
            operator_cpu: 0.0,
            apiserver_cpu: 0.0,
            writes: HashMap::new(),
        }
    }

    /// Creates organizations, their members as soon as their namespaces are
    /// there, and waits until all are ready.
    pub(super) async fn create(&mut self, numbers: Range<usize>) -> Result<()> {
        let mark = Mark::now(&self.options.audit_log)?;
        let (operator, apiserver) = (self.operator.id()?, self.options.cluster.apiserver);
        let (operator_cpu, apiserver_cpu) = (cpu_seconds(operator)?, cpu_seconds(apiserver)?);
        let until = numbers.end;
        let started = Instant::now();
        tokio::try_join!(self.organizations(numbers.clone()), self.members(numbers))?;
        self.ready.wait_for(until * scene::INPUTS).await?;
        self.seconds += started.elapsed().as_secs_f64();
        self.operator_cpu += cpu_seconds(operator)? - operator_cpu;
        self.apiserver_cpu += cpu_seconds(apiserver)? - apiserver_cpu;
        // Conditions may follow the first `Ready`.
        self.operator.quiet(0).await?;
        for (write, count) in mark.writes()? {
            *self.writes.entry(write).or_default() += count;
        }
        self.organizations = until;
        Ok(())
    }

    async fn organizations(&self, numbers: Range<usize>) -> Result<()> {
        futures::stream::iter(numbers)
            .map(|number| async move {
                create_organization(self.engineer, &scene::tenant(number)?).await
            })
            .buffer_unordered(self.options.cluster.concurrency)
            .try_for_each(|_| async { Ok(()) })
            .await
    }

    async fn members(&self, numbers: Range<usize>) -> Result<()> {
        let waiting: HashMap<_, _> = numbers
            .map(|number| (scene::namespace(number), number))
            .collect();
        let count = waiting.len();
        let (_watch, mut names) = namespaces(self.engineer);
        let create =
            futures::stream::poll_fn(move |context| names.poll_recv(context))
                .filter_map(|name| std::future::ready(waiting.get(&name).copied()))
                .take(count)
                .map(|number| async move {
                    create_members(self.engineer, &scene::tenant(number)?).await
                })
                .buffer_unordered(self.options.cluster.concurrency)
                .try_for_each(|()| async { Ok(()) });
        tokio::time::timeout(LIMIT, create)
            .await
            .context("the operator did not make every namespace: its log says why")?
    }

    /// Adds what was measured to the report.
    pub(super) fn report(&self, baseline: &Baseline, report: &mut Report) -> Result<()> {
        ensure!(
            (baseline.organizations, baseline.concurrency)
                == (self.organizations, self.options.cluster.concurrency),
            "the baseline is of another run"
        );
        let organizations = self.organizations as f64;
        let ratio = baseline.seconds / self.seconds;
        report.add("organizations, from nothing", organizations, "", Bar::None);
        report.add("plain client", baseline.seconds, "s", Bar::None);
        report.add(
            "operator, until all are ready",
            self.seconds,
            "s",
            Bar::None,
        );
        report.add(
            "operator's speed to the plain client's",
            ratio,
            "×",
            Bar::AtLeast(SPEED),
        );
        for (name, seconds) in [
            (
                "CPU of the API server, plain client",
                baseline.apiserver_cpu_seconds,
            ),
            ("CPU of the API server, operator", self.apiserver_cpu),
            ("CPU of the operator", self.operator_cpu),
        ] {
            let milliseconds = seconds * 1000.0 / organizations;
            report.add(
                &format!("{name}, for each organization"),
                milliseconds,
                "ms",
                Bar::None,
            );
        }
        let planned = baseline.objects + baseline.statuses + FINALIZERS;
        report.add(
            "planned objects, statuses and finalizer of an organization",
            planned as f64,
            "",
            Bar::None,
        );
        let written: usize = self.writes.values().sum();
        report.add(
            "writes of an organization whose members come after its namespace",
            written as f64 / organizations,
            "",
            Bar::None,
        );
        let mut writes: Vec<_> = self.writes.iter().collect();
        writes.sort();
        for (write, count) in writes {
            let each = *count as f64 / organizations;
            report.add(&format!("  of these: {write}"), each, "", Bar::None);
        }
        Ok(())
    }
}
