//! Tests of the parts of the counting bench that only compute: what callgrind wrote, what is left out, what becomes of a
//! change, the drawing. The bench itself has no test harness and cannot hold them.

#![cfg(test)]
#![expect(dead_code, reason = "the bench uses the rest of these files")]

mod counted;
mod layout;
mod outcome;
mod profile;
mod svg;

mod counted_tests {
    use crate::counted::Kind;

    #[test]
    fn what_depends_on_the_processor_is_left_out() {
        let program = "/target/release/sekisho";
        let library = "/usr/lib/x86_64-linux-gnu/libc.so.6";
        let table = [
            (program, "sekisho::policy::engine::Engine::decide", Kind::Counted),
            (program, "<hyper::Body as core::fmt::Debug>::fmt", Kind::Counted),
            (library, "_int_malloc", Kind::Counted),
            (library, "__memcpy_avx_unaligned_erms", Kind::Chosen),
            (library, "__memcmp_evex_movbe", Kind::Chosen),
            (program, "memchr::arch::x86_64::avx2::memchr::One::find", Kind::Chosen),
            (program, "httparse::simd::avx2::match_uri_vectored", Kind::Chosen),
            (program, "aws_lc_0_47_0_aes_hw_encrypt", Kind::Cryptography),
            (program, "__ecp_nistz256_mul_montq", Kind::Cryptography),
            (program, "0x00000000002256e0", Kind::Cryptography),
            ("/lib64/ld-linux-x86-64.so.2", "_dl_runtime_resolve_xsavec", Kind::Loader),
        ];
        for (object, function, due) in table {
            assert_eq!(Kind::of(object, function), due, "{function}");
        }
    }
}

mod profile_tests {
    use crate::counted::Kind;
    use crate::profile::{Cost, Profile};

    /// A part of a real dump, shortened: a call whose callee is first named in the call, and one inlined file.
    const DUMP: &str = "version: 1
positions: line
events: Ir
summary: 175

ob=(1) /usr/bin/edge
fl=(1) /src/a.rs
fn=(1) edge::outer
16 100
fi=(2) /src/b.rs
+4 20
fe=(1)
cob=(2) /usr/lib/libc.so.6
cfi=(3) malloc.c
cfn=(2) malloc
calls=3 50
* 40
calls=1 16
cfn=(1)
20 5

ob=(2)
fl=(3)
fn=(2)
50 40
fn=(3) __memcpy_avx_unaligned
- 15
totals: 175
";

    #[test]
    fn a_call_is_not_counted_twice() {
        let profile = Profile::read(DUMP);
        let of = |object: &str, function: &str| {
            profile.functions.get(&(object.to_owned(), function.to_owned())).copied()
        };
        let outer = of("/usr/bin/edge", "edge::outer").expect("it is there");
        assert_eq!((outer.own, outer.whole), (120, 160));
        let malloc = of("/usr/lib/libc.so.6", "malloc");
        assert_eq!(malloc, Some(Cost { own: 40, whole: 40, calls: 3 }));
        assert_eq!(profile.sum(Kind::Counted), 160);
        assert_eq!(profile.sum(Kind::Chosen), 15);
    }

    #[test]
    fn what_was_inlined_is_found_where_it_was_written() {
        let profile = Profile::read(DUMP);
        assert_eq!(profile.files.get("/src/a.rs"), Some(&100));
        assert_eq!(profile.files.get("/src/b.rs"), Some(&20));
        assert_eq!(profile.files.get("malloc.c"), Some(&40));
    }
}

mod layout_tests {
    use crate::layout::{Layout, stale};
    use crate::profile::Profile;

    const DUMP: &str = "ob=(1) /bin/edge
fn=(1) _ZN4edge3run17h0123456789abcdefE
1 100
fn=(2) _ZN4core3ops4call17hfedcba9876543210E.llvm.12
1 100
fn=(3) aws_lc_0_47_0_AES_encrypt'2
1 90
fn=(6) _RNvMNtCsjrHSEGnQ3l9_3std4timeNtB2_7Instant7elapsed
1 90
fn=(4) _ZN4edge6seldom17h0123456789abcdefE
1 9
ob=(2) /lib/libc.so.6
fn=(5) malloc
1 100
ob=(3) ???
fn=(7) _ZN4edge4laid17h0123456789abcdefE
1 100
fn=(8) __vdso_clock_gettime
1 100
";

    /// What the program has: of `call` one for each of many types.
    const SYMBOLS: [&str; 8] = [
        "_ZN4edge4laid17h0000000000000000E",
        "_ZN4edge3run17h0000000000000000E",
        "aws_lc_0_48_1_AES_encrypt",
        "_RNvMNtCsbfLk1pQx8_3std4timeNtB2_7Instant7elapsed",
        "_ZN4core3ops4call17h0000000000000001E",
        "_ZN4core3ops4call17h0000000000000002E",
        "_ZN4core3ops4call17h0000000000000003E",
        "_ZN4core3ops4call17h0000000000000004E",
    ];

    fn script() -> String {
        let mut layout = Layout::default();
        for case in ["first", "second"] {
            layout.add(case, &Profile::read(DUMP), "/bin/edge", 10);
        }
        layout.render(&SYMBOLS)
    }

    #[test]
    fn what_requests_run_stands_in_the_script_once_without_versions_and_the_ambiguous_last() {
        let script = script();
        let lines: Vec<_> =
            script.lines().map(str::trim).filter(|line| line.contains('*')).collect();
        let due = [
            "/* The functions that a request runs, to lie side by side in the program.",
            "Written by `cargo bench --bench count -- --layout`; used by `build.rs`. */",
            "/* first */",
            "*(.text._RNvMNtCs*_3std4timeNtB2_7Instant7elapsed)",
            "*(.text._ZN4edge3run*)",
            "*(.text._ZN4edge4laid*)",
            "*(.text.aws_lc_*_AES_encrypt)",
            "/* second */",
            "/* under one name with functions that no request runs */",
            "*(.text._ZN4core3ops4call*)",
        ];
        assert_eq!(lines, due);
        assert!(script.ends_with("INSERT BEFORE .text;\n"));
    }

    #[test]
    fn a_name_that_no_function_has_any_more_is_old() {
        assert_eq!(stale(&script(), &SYMBOLS), (0, 5));
        let [_laid, others @ ..] = SYMBOLS;
        assert_eq!(stale(&script(), &others), (1, 5));
    }
}

mod outcome_tests {
    use crate::outcome::Outcome;

    #[test]
    fn only_more_than_five_per_cent_is_a_change() {
        let table = [
            (1049.0, Some(1000.0), Outcome::Held),
            (1051.0, Some(1000.0), Outcome::Worse),
            (951.0, Some(1000.0), Outcome::Held),
            (949.0, Some(1000.0), Outcome::Better),
            (949.0, None, Outcome::New),
        ];
        for (now, then, due) in table {
            assert_eq!(Outcome::of(now, then), due, "{now} beside {then:?}");
        }
    }
}

mod svg_tests {
    use crate::svg::{Curve, draw};

    #[test]
    fn a_curve_is_drawn_beside_its_first_point() {
        let curve = Curve { name: "one decision", points: vec![(10, 200.0), (1000, 300.0)] };
        assert_eq!(curve.growth(), [1.0, 1.5]);
        let text = draw("rules", &[curve]);
        assert!(text.contains("<polyline points=\"60.0,96.7 540.0,30.0\""), "{text}");
        assert!(text.contains(">one decision</text>") && text.ends_with("</svg>\n"), "{text}");
    }
}
