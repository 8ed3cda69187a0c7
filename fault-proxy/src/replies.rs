//! Tells whose answer is whose in what a server sends, and withholds what the client is not to see.

use crate::end::End;
use crate::scanner::Scanner;
use bytes::BytesMut;
use std::collections::VecDeque;

/// What becomes of the answer to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The client gets it.
    Pass,
    /// The client does not get it: when it is complete, the connection is cut.
    Withhold,
    /// There is none: this command was not passed on. When all answers before it are through, this happens.
    Stop(End),
}

/// What a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// The answer to the command with this mark.
    Answer(Mark),
    /// Something that nobody asked for, such as a push message.
    Other,
}

/// The answers that are awaited, oldest first.
#[derive(Debug)]
pub(crate) struct Replies {
    marks: VecDeque<Mark>,
    scanner: Scanner,
    /// What has begun and is not complete.
    begun: Option<Frame>,
    withheld: bool,
    raw: bool,
}

impl Replies {
    pub(crate) fn new() -> Self {
        Self { marks: VecDeque::new(), scanner: Scanner::new(), begun: None, withheld: false, raw: false }
    }

    /// Announces the next answer. To be called before its command is sent.
    pub(crate) fn expect(&mut self, mark: Mark) {
        self.marks.push_back(mark);
    }

    /// From now on answers cannot be told apart.
    pub(crate) fn give_up(&mut self) {
        self.raw = true;
    }

    /// Takes what the server has sent, and leaves in it what the client is to get.
    pub(crate) fn judge(&mut self, bytes: &mut BytesMut) {
        let mut position = 0;
        while position < bytes.len() && !self.raw {
            let begun = *self.begun.get_or_insert_with(|| match bytes[position] {
                b'>' => Frame::Other,
                _ => self.marks.front().map_or(Frame::Other, |mark| Frame::Answer(*mark)),
            });
            let start = position;
            match self.scanner.advance(&bytes[position..]) {
                Ok(Some(length)) => {
                    position += length;
                    self.ended(begun);
                }
                Ok(None) => position = bytes.len(),
                Err(_) => self.raw = true,
            }
            if begun == Frame::Answer(Mark::Withhold) {
                // Nothing was sent behind a command whose answer is withheld.
                bytes.truncate(start);
                return;
            }
        }
    }

    /// What happens to the connection now that what was judged has reached the client.
    pub(crate) fn end(&self) -> Option<End> {
        let of = |mark: &Mark| match mark {
            Mark::Pass => None,
            Mark::Withhold => Some(End::Cut),
            Mark::Stop(end) => Some(*end),
        };
        match self.marks.front() {
            _ if self.withheld => Some(End::Cut),
            // Without boundaries there is nothing to wait for.
            _ if self.raw => self.marks.iter().find_map(of),
            Some(Mark::Stop(end)) if self.begun.is_none() => Some(*end),
            _ => None,
        }
    }

    fn ended(&mut self, frame: Frame) {
        self.begun = None;
        match frame {
            Frame::Answer(Mark::Pass) => drop(self.marks.pop_front()),
            Frame::Answer(Mark::Withhold) => self.withheld = true,
            Frame::Answer(Mark::Stop(_)) | Frame::Other => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the client gets of `chunks`, and the end after each.
    fn judge(marks: &[Mark], chunks: &[&str]) -> (String, Vec<Option<End>>) {
        let mut replies = Replies::new();
        for mark in marks {
            replies.expect(*mark);
        }
        let mut passed = String::new();
        let mut ends = vec![replies.end()];
        for chunk in chunks {
            let mut bytes = BytesMut::from(*chunk);
            replies.judge(&mut bytes);
            passed += str::from_utf8(&bytes).unwrap();
            ends.push(replies.end());
        }
        (passed, ends)
    }

    const CUT: Option<End> = Some(End::Cut);

    #[test]
    fn the_client_gets_all_answers_before_the_withheld_one() {
        let marks = [Mark::Pass, Mark::Pass, Mark::Withhold];
        let (passed, ends) = judge(&marks, &["+one\r\n*1\r\n+t", "wo\r\n$5\r\nth", "ree", "\r\n"]);
        assert_eq!((passed.as_str(), ends), ("+one\r\n*1\r\n+two\r\n", vec![None, None, None, None, CUT]));
    }

    #[test]
    fn a_stop_waits_for_the_answers_before_it() {
        let marks = [Mark::Pass, Mark::Stop(End::Reset)];
        assert_eq!(judge(&marks, &["+o", "ne\r\n"]), ("+one\r\n".into(), vec![None, None, Some(End::Reset)]));
        assert_eq!(judge(&marks[1..], &[]).1, [Some(End::Reset)]);
    }

    #[test]
    fn a_push_message_is_no_answer() {
        let (passed, ends) = judge(&[Mark::Withhold], &[">1\r\n+news\r\n", ":1\r\n"]);
        assert_eq!((passed.as_str(), ends), (">1\r\n+news\r\n", vec![None, None, CUT]));
    }

    #[test]
    fn what_is_no_answer_is_passed_on_as_it_is() {
        assert_eq!(judge(&[Mark::Pass], &["what?\r\n", "+x\r\n"]).0, "what?\r\n+x\r\n");
        assert_eq!(judge(&[Mark::Withhold], &["what?\r\n"]), (String::new(), vec![None, CUT]));
    }
}
