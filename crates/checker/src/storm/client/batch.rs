//! Many commands in one request (`POST /v1/commands/batch`): a line each, an answer a line, in order.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use orderly_protocol::CommandResource;
use reqwest::header;
use serde_json::{Value, json};

use super::{Answered, Door, Manner, Patience, Wanted, refusal_of};
use crate::{
    dice::Dice,
    storm::history::{Answer, Asked, Attempt, Sent},
};

impl Door {
    /// Sends them as one batch. What has no answer that means something is sent again, in the same order.
    ///
    /// # Errors
    /// As [`Door::send`].
    pub(in crate::storm) async fn send_together(
        &self,
        wanted: Vec<Wanted>,
        manner: Manner,
        mut dice: Dice,
    ) -> Result<Vec<Sent>> {
        let mut patience = Patience::new();
        let mut attempts: Vec<Vec<Attempt>> = vec![Vec::new(); wanted.len()];
        let mut open: Vec<usize> = (0..wanted.len()).collect();
        let mut hangs_up_after = manner.hangs_up_after;
        loop {
            let lines: Vec<&Wanted> = open.iter().map(|at| &wanted[*at]).collect();
            let began = self.clock.now();
            for line in &lines {
                let request = || Asked::from(*line).request(began, false);
                self.journal.write(request);
            }
            let asking = self.attempt_together(&lines, hangs_up_after.take());
            let asked = self.token.run_until_cancelled(asking).await;
            let answers = asked.context("stopped before the end")?;
            let mut longest_asked = None;
            let mut again = Vec::new();
            for (at, (answer, asked)) in open.into_iter().zip(answers) {
                longest_asked = asked.max(longest_asked);
                if answer.is_open() {
                    again.push(at);
                }
                attempts[at].push(self.answered(&wanted[at], began, answer)?);
            }
            open = again;
            if open.is_empty() || patience.is_over() {
                break;
            }
            self.pause(patience.next(&mut dice, longest_asked)).await;
        }
        let sent = wanted.into_iter().zip(attempts);
        Ok(sent
            .map(|(wanted, attempts)| wanted.sent(attempts))
            .collect())
    }

    /// An answer for each line; lost are those that were not read when the connection ended.
    async fn attempt_together(
        &self,
        lines: &[&Wanted],
        hangs_up_after: Option<Duration>,
    ) -> Vec<Answered> {
        let mut answers = Vec::with_capacity(lines.len());
        let asking = self.ask_together(lines, &mut answers);
        let ended = match hangs_up_after {
            None => asking.await,
            Some(limit) => tokio::time::timeout(limit, asking)
                .await
                .unwrap_or_else(|_| Err(anyhow!("hung up"))),
        };
        let why = match ended {
            Ok(()) => "no line of the answer".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        answers.resize(lines.len(), (Answer::lost(&why), None));
        answers
    }

    async fn ask_together(&self, lines: &[&Wanted], answers: &mut Vec<Answered>) -> Result<()> {
        let mut body = String::new();
        for line in lines {
            body.push_str(&line.line().to_string());
            body.push('\n');
        }
        let url = self.ingress.join("/v1/commands/batch").context("a path")?;
        let mut response = self
            .http
            .post(url)
            .bearer_auth(&self.api_key)
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .body(body)
            .send()
            .await?;
        if !response.status().is_success() {
            let whole = super::answer_of(response).await?;
            answers.resize(lines.len(), whole);
            return Ok(());
        }
        let mut rest: Vec<u8> = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            rest.extend_from_slice(&chunk);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if answers.len() < lines.len() {
                    answers.push((line_of_answer(&line), None));
                }
            }
        }
        Ok(())
    }
}

impl Wanted {
    /// As a line of a batch.
    fn line(&self) -> Value {
        let mut line = json!({
            "order_id": self.order,
            "type": self.action.kind().as_str(),
            "data": self.action.data(&self.mark),
            "idempotency_key": self.key,
        });
        if let Some(version) = self.expected_version {
            line["expected_version"] = version.into();
        }
        line
    }
}

fn line_of_answer(line: &[u8]) -> Answer {
    // A problem's status is a number, a command's a word.
    let problem: Value = serde_json::from_slice(line).unwrap_or_default();
    if let Some(status) = problem["status"].as_u64() {
        return refusal_of(u16::try_from(status).unwrap_or_default(), line);
    }
    match serde_json::from_slice::<CommandResource>(line) {
        Ok(command) => Answer::Accepted {
            command_id: command.command_id.0,
            location: command.links.command,
        },
        Err(error) => Answer::lost(&format!("a line that cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_behind_one_that_was_not_accepted_is_sent_again_and_nonsense_is_not() {
        let preceding = line_of_answer(br#"{"status": 424, "code": "preceding_not_accepted"}"#);
        assert!(preceding.is_open(), "{preceding:?}");
        let nonsense = line_of_answer(br#"{"status": 422, "code": "invalid_command"}"#);
        assert!(!nonsense.is_open(), "{nonsense:?}");
        let torn = line_of_answer(br#"{"command_id": "#);
        assert!(matches!(torn, Answer::Lost { .. }), "{torn:?}");
    }
}
