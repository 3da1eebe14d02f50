//! YAML's own matters: lines, anchors, merge keys, broken text.

use super::super::yaml::{Content, Node, parse};

fn tree(text: &str) -> Node {
    let (node, faults) = parse(text).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(faults, []);
    node.expect("not empty")
}

fn entry<'a>(node: &'a Node, key: &str) -> &'a Node {
    let Content::Map(entries) = &node.content else { panic!("no map: {node:?}") };
    &entries.iter().find(|(k, _)| k.text == key).expect("the key").1
}

fn scalar(text: &str, plain: bool) -> Content {
    Content::Scalar { text: text.into(), plain }
}

#[test]
fn scalars_stay_text_and_know_their_line() {
    let root = tree("a: 010\nb: 'no'\nc: |\n  x\n");
    assert_eq!(entry(&root, "a"), &Node { line: Some(1), content: scalar("010", true) });
    assert_eq!(entry(&root, "b"), &Node { line: Some(2), content: scalar("no", false) });
    assert_eq!(entry(&root, "c").content, scalar("x\n", false));
}

#[test]
fn nothing_is_nothing() {
    for text in ["", "# only a remark\n", "---\n", "null"] {
        assert_eq!(parse(text).map_err(|fault| fault.to_string()), Ok((None, vec![])), "{text:?}");
    }
}

#[test]
fn a_key_written_twice_is_a_fault_with_both_lines() {
    let (_, faults) = parse("a:\n  b: 1\n  b: 2\n").expect("a tree");
    assert_eq!(
        faults[0].to_string(),
        "error: a.b (line 3): is written twice, first on line 1; keep one of them".replace("line 1", "line 2")
    );
}

#[test]
fn a_colon_without_a_blank_does_not_tell_what_follows() {
    let (_, faults) = parse("m: {password:hush}").expect("a tree");
    let told = "error: m.password (line 1): has no blank behind its colon; write `password: …`";
    assert_eq!(faults[0].to_string(), told);
}

#[test]
fn anchors_and_merge_keys_work() {
    let root = tree("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nagain: *b\n");
    let used = entry(&root, "use");
    assert_eq!(entry(used, "x").content, scalar("1", true));
    assert_eq!(entry(used, "y").content, scalar("3", true));
    assert_eq!(entry(&root, "again").content, entry(&root, "base").content);
}

#[test]
fn broken_text_names_its_line() {
    for (text, line) in [("a: [1\nb: 2", 2), ("a: 1\n---\nb: 2", 2), ("a: !python/name:os.system x", 1), ("a: *b", 1)] {
        let fault = parse(text).expect_err(text);
        assert_eq!(fault.line, Some(line), "{fault}");
    }
}

#[test]
fn too_deep_and_too_often_are_refused() {
    assert!(parse(&"[".repeat(1000)).is_err());
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..9 {
        bomb += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "));
    }
    assert!(parse(&bomb).is_err());
}
