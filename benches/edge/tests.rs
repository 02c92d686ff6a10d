//! Tests of the parts of the bench that only compute: percentiles, the kernel's texts, the host's moods, replies, turns,
//! ratios. The bench itself has no test harness and cannot hold them. What needs sockets is not tested here: a measurement
//! checks every reply.

#![cfg(test)]
#![expect(dead_code, reason = "the measurements use the rest of these files")]

mod figure;
#[path = "../peers/host.rs"]
mod host;
mod procfs;
#[path = "../peers/ratio.rs"]
mod ratio;
mod reply;
mod turn;

mod figure_tests {
    use std::time::Duration;

    use crate::figure::{Table, median, percentile, range};

    #[test]
    fn a_percentile_is_a_sample_that_was_seen() {
        let samples: Vec<_> = (1..=100).map(Duration::from_micros).collect();
        assert_eq!(percentile(&samples, 0.5), Duration::from_micros(50));
        assert_eq!(percentile(&samples, 0.99), Duration::from_micros(99));
        assert_eq!(percentile(&samples, 1.0), Duration::from_micros(100));
        assert_eq!(percentile(&[Duration::from_micros(7)], 0.01), Duration::from_micros(7));
        assert_eq!(percentile(&[], 0.99), Duration::ZERO);
    }

    #[test]
    fn a_median_is_the_middle_whatever_the_order() {
        let close = |values: &[f64], due: f64| (median(values.to_vec()) - due).abs() < 1e-9;
        assert!(close(&[9.0, 1.0, 5.0], 5.0));
        assert!(close(&[4.0, 1.0, 2.0, 9.0], 3.0));
        assert!(close(&[], 0.0));
        assert_eq!(range(&[3.0, 1.0, 2.0], 0), "2 (1 to 3)");
        assert_eq!(range(&[3.25], 1), "3.2");
    }

    #[test]
    fn columns_align() {
        let mut table = Table::new(&["a", "bb"]);
        table.row(vec!["long".to_owned(), "1".to_owned()]);
        assert_eq!(table.to_string(), "a      bb\nlong    1\n");
        assert_eq!(table.markdown(), "| a | bb |\n|---|---:|\n| long | 1 |\n");
    }
}

mod procfs_tests {
    use std::time::Duration;

    use crate::procfs::{
        Memory, parse_clocks, parse_machine, parse_rollup, parse_stat, parse_stolen,
    };

    #[test]
    fn a_name_with_brackets_does_not_move_the_fields() {
        let text = "7 (a ) b) S 1 7 7 0 -1 4194304 9 0 0 0 250 50 3 4 20 0 1 0 99 1 2 3";
        assert_eq!(parse_stat(text), Some(Duration::from_secs(3)));
        assert_eq!(parse_stat("7 (cut"), None);
    }

    #[test]
    fn idle_and_waiting_is_not_work() {
        let text = "cpu  100 50 30 9000 7000 10 5 5 77 88\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(parse_machine(text), Some(Duration::from_secs(2)));
        assert_eq!(parse_machine("intr 1\n"), None);
    }

    #[test]
    fn what_the_host_took_is_the_eighth_figure() {
        let text = "cpu  100 50 30 9000 7000 10 5 25 77 88\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(parse_stolen(text), Some(Duration::from_millis(250)));
        assert_eq!(parse_stolen("cpu  100 50 30 9000 7000 10 5\n"), None);
    }

    #[test]
    fn what_the_host_took_is_how_far_the_clocks_of_tasks_are_behind() {
        let text = "cpu#0, 2596.140 MHz\n  .clock                         : 5000.250000\n  \
            .clock_task                    : 4000.000000\n  .avg_idle                      : 8\n\
            cpu#1, 2596.140 MHz\n  .clock                         : 5000.500000\n  \
            .clock_task                    : 5000.250000\n";
        assert_eq!(parse_clocks(text), Some(Duration::from_micros(1_000_500)));
        assert_eq!(parse_clocks("cpu#0\n  .clock : 5000.5\n"), None);
        assert_eq!(parse_clocks(""), None);
    }

    #[test]
    fn memory_is_in_kib() {
        let text = "5500-7ff [rollup]\nRss:    1234 kB\nPss:     987 kB\nPss_Dirty:  5 kB\n";
        assert_eq!(parse_rollup(text), Some(Memory { rss: 1234, pss: 987 }));
        assert_eq!(parse_rollup("Rss: 1 kB\n"), None);
    }
}

mod host_tests {
    use std::time::Duration;

    use crate::host::{agree, quietest};

    #[test]
    fn the_clocks_are_believed_where_the_machine_counted_the_same() {
        let second = Duration::from_secs(1);
        assert!(agree(second * 97, second * 100), "the same, but for rounding");
        assert!(agree(Duration::ZERO, Duration::ZERO), "no host takes anything");
        assert!(!agree(second * 130, second * 100), "interrupts are in it");
        assert!(!agree(Duration::ZERO, second), "it knows nothing of the host");
        assert!(!agree(second, Duration::ZERO), "nothing was taken by a host");
    }

    #[test]
    fn the_turns_in_which_the_host_took_least_count_in_their_order() {
        assert_eq!(quietest(&[0.03, 0.0, 0.01, 0.2], 2), [1, 2], "the quietest first in time");
        assert_eq!(quietest(&[0.01, 0.05, 0.0, 0.04], 2), [0, 2], "in order, not by quiet");
        assert_eq!(quietest(&[0.01, 0.01, 0.01, 0.01], 2), [0, 1], "the earlier of those alike");
        assert_eq!(quietest(&[0.5], 2), [0], "there are no more");
        assert_eq!(quietest(&[], 2), [0; 0], "none");
    }
}

mod family_tests {
    use crate::procfs::{descent, parse_parent};

    #[test]
    fn a_family_is_a_process_and_all_below_it() {
        let parents = [(2, 1), (9, 1), (3, 2), (5, 3), (4, 2), (10, 9)];
        assert_eq!(descent(2, &parents), [2, 3, 4, 5]);
        assert_eq!(descent(10, &parents), [10]);
        assert_eq!(descent(77, &parents), [77]);
    }

    #[test]
    fn a_parent_is_found_behind_any_name() {
        assert_eq!(parse_parent("7 (a ) b) S 12 7 7 0 -1"), Some(12));
        assert_eq!(parse_parent("7 (cut"), None);
    }
}

mod turn_tests {
    use std::io;

    use crate::turn::in_turn;

    #[test]
    fn each_round_begins_with_another() {
        let mut order = String::new();
        let results = in_turn(4, &mut ['a', 'b', 'c'], |round, one| {
            order.push(*one);
            Ok((round, *one))
        });
        assert_eq!(order, "abcbcacababc");
        let of_b: Vec<_> = (0..4).map(|round| (round, 'b')).collect();
        assert_eq!(results.unwrap()[1], of_b);
    }

    #[test]
    fn a_failure_ends_it() {
        let mut count = 0;
        let result: io::Result<Vec<Vec<()>>> = in_turn(2, &mut [(), ()], |_, ()| {
            count += 1;
            Err(io::Error::other("broken"))
        });
        assert_eq!((result.unwrap_err().to_string().as_str(), count), ("broken", 1));
    }
}

mod ratio_tests {
    use crate::figure::range;
    use crate::ratio::{Bar, best, ratios};

    #[test]
    fn rounds_are_compared_with_themselves() {
        // A machine that slows down by half does not move the ratio.
        assert_eq!(
            range(&ratios(&[110.0, 55.0, 110.0], &[100.0, 50.0, 100.0]), 2),
            "1.10 (1.10 to 1.10)"
        );
    }

    #[test]
    fn the_best_is_the_one_whose_median_is() {
        let all = [vec![1.0, 1.0, 9.0], vec![2.0, 2.0, 2.0]];
        assert_eq!(best(&all, true), Some(&[2.0, 2.0, 2.0][..]));
        assert_eq!(best(&all, false), Some(&[1.0, 1.0, 9.0][..]));
        assert_eq!(best(&[], true), None);
    }

    #[test]
    fn a_bar_is_passed_upwards_or_downwards() {
        let more = Bar { first: 1.0, goal: 1.2 };
        let reached = |ratio| more.reached(ratio, true);
        assert_eq!([reached(0.99), reached(1.0), reached(1.2)], ["missed", "first bar", "goal"]);
        let less = Bar { first: 0.9, goal: 0.7 };
        let reached = |ratio| less.reached(ratio, false);
        assert_eq!([reached(0.91), reached(0.9), reached(0.7)], ["missed", "first bar", "goal"]);
    }
}

mod reply_tests {
    use crate::reply::{Reader, Reply};

    /// Reads `text` in pieces of every size: the pieces must not matter.
    fn check(text: &str, due: Result<Option<Reply>, &str>) {
        for size in 1..=text.len() {
            let mut reader = Reader::default();
            let mut got = Ok(None);
            for piece in text.as_bytes().chunks(size) {
                match reader.take(piece) {
                    Ok(reply) => got = Ok(reply),
                    Err(error) => {
                        got = Err(error.to_string());
                        break;
                    }
                }
            }
            match (&got, due) {
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (Ok(reply), Ok(due)) => assert_eq!(*reply, due, "{text:?} by {size}"),
                (Err(_), Ok(_)) | (Ok(_), Err(_)) => panic!("{text:?} by {size}: {got:?}"),
            }
        }
    }

    const fn whole(status: u16, body: u64, last: bool) -> Reply {
        Reply { status, body, last }
    }

    #[test]
    fn a_body_ends_where_its_length_or_its_last_chunk_says() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", Ok(Some(whole(200, 4, false))));
        check(
            "HTTP/1.1 403 No\r\ncontent-length:0\r\nConnection: close\r\n\r\n",
            Ok(Some(whole(403, 0, true))),
        );
        check("HTTP/1.1 204 No\r\n\r\n", Ok(Some(whole(204, 0, false))));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(
            &format!("{chunked}3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"),
            Ok(Some(whole(200, 13, false))),
        );
        check(&format!("{chunked}0\r\nTrailer: 1\r\n\r\n"), Ok(Some(whole(200, 0, false))));
    }

    #[test]
    fn an_interim_reply_is_not_the_reply() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        check(text, Ok(Some(whole(200, 1, false))));
    }

    #[test]
    fn what_is_cut_short_is_not_whole() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", Ok(None));
        check("HTTP/1.1 200 OK\r\nContent-Len", Ok(None));
    }

    #[test]
    fn what_cannot_be_framed_says_why() {
        check("HTTP/1.1 200 OK\r\n\r\n", Err("a body without a length"));
        check("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", Err("no status line"));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&format!("{chunked}xyz\r\n"), Err("no size of a chunk"));
        check(&format!("{chunked}1\r\nab\r\n"), Err("a chunk longer than it said"));
    }

    #[test]
    fn bytes_after_the_end_are_nobodys() {
        let mut reader = Reader::default();
        let error = reader.take(b"HTTP/1.1 204 No\r\n\r\nHTTP").unwrap_err();
        assert!(error.to_string().contains("bytes after its end"), "{error}");
    }
}
