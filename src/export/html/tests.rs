//! Pages as a parser of browsers reads them: nothing but the elements, attributes and addresses of a list.

use html5ever::tendril::TendrilSink as _;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use proptest::prelude::*;

use super::*;
use crate::export::tests::conversation;

const ELEMENTS: [&str; 38] = [
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "p",
    "pre",
    "code",
    "span",
    "section",
    "small",
    "details",
    "summary",
    "img",
    "hr",
    "br",
    "ul",
    "ol",
    "li",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "blockquote",
    "em",
    "strong",
    "del",
    "a",
    "div",
];

/// What stands in a page, as far as a test asks for it.
#[derive(Default)]
struct Found {
    elements: std::collections::BTreeMap<String, usize>,
    links: Vec<String>,
    text: String,
    policy: String,
    style: String,
}

fn read(page: &str) -> Found {
    let document = html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(page);
    let mut found = Found::default();
    let mut left: Vec<(Handle, bool, bool)> = vec![(document.document.clone(), false, false)];
    while let Some((node, in_body, in_style)) = left.pop() {
        let (mut in_body, mut in_style) = (in_body, in_style);
        match &node.data {
            NodeData::Document | NodeData::Doctype { .. } => {}
            NodeData::Text { contents } if in_style => found.style.push_str(&contents.borrow()),
            NodeData::Text { contents } => found.text.push_str(&contents.borrow()),
            NodeData::Comment { .. } | NodeData::ProcessingInstruction { .. } => panic!("a comment in {page}"),
            NodeData::Element { name, attrs, .. } => {
                let element = name.local.to_string();
                assert!(ELEMENTS.contains(&element.as_str()), "<{element}> in {page}");
                assert_eq!(&*name.ns, "http://www.w3.org/1999/xhtml", "{page}");
                assert!(!in_body || !matches!(&*element, "meta" | "style" | "title" | "html" | "body"), "{page}");
                *found.elements.entry(element.clone()).or_default() += 1;
                in_body |= element == "body";
                in_style |= element == "style";
                for attribute in attrs.borrow().iter() {
                    let (key, value) = (attribute.name.local.to_string(), attribute.value.to_string());
                    let fits = match (element.as_str(), key.as_str()) {
                        ("html", "lang") | ("meta", "charset" | "http-equiv" | "name") | ("img", "alt") => true,
                        ("meta", "content") => {
                            if value.contains("default-src") {
                                found.policy.clone_from(&value);
                            }
                            true
                        }
                        (_, "class") => value.bytes().all(|b| b.is_ascii_lowercase()),
                        ("ol", "start") => value.bytes().all(|b| b.is_ascii_digit()),
                        ("img", "src") => value.starts_with("data:image/") && value.contains(";base64,"),
                        ("a", "rel") => value == "noopener noreferrer nofollow",
                        ("a", "href") => {
                            found.links.push(value.clone());
                            let lower = value.to_ascii_lowercase();
                            ["http://", "https://", "mailto:"].iter().any(|scheme| lower.starts_with(scheme))
                        }
                        _ => false,
                    };
                    assert!(fits, "<{element} {key}={value:?}> in {page}");
                }
            }
        }
        left.extend(node.children.borrow().iter().rev().map(|child| (child.clone(), in_body, in_style)));
    }
    found
}

/// What has broken out of pages elsewhere.
const HOSTILE: [&str; 26] = [
    "</pre><script>alert(1)</script><img src=x onerror=alert(1)>&amp;\u{1b}[31m",
    "<script>alert(1)</script>",
    "\n\n<div onclick=alert(1)>\n\n<style>*{display:none}</style>\n\n</div>\n",
    "[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](&#106;avascript:alert(1)) [d](<java\tscript:alert(1)>)",
    "[a](data:text/html;base64,PHNjcmlwdD4=) [b](vbscript:x) [c](file:///etc/passwd) [d](//evil.example/x) [e](#x)",
    "[a]( https://ok.example/?q=\"onmouseover=\"alert(1)) <https://ok.example/'x'> <javascript:alert(1)> <a@b.example>",
    "![x](https://tracker.example/p.png?id=1) ![x\"onerror=alert(1)](data:image/svg+xml;base64,PHN2Zz4=)",
    "[![x](http://a.example/i.png \"t\\\" onload=1\")](javascript:alert(1) \"ti\\\"tle\")",
    "```\"><script>alert(1)</script>\nx</code></pre><script>1</script>\n```",
    "```rust\nlet x = \"</span></pre><script>alert(1)</script>\"; // </style>\n```",
    "```html\n<script>alert('&quot;')</script><!-- --><![CDATA[ ]]>\n```",
    "| <b>a</b> | `|` |\n|:-:|--:|\n| <img src=x onerror=1> | [x](javascript:1) |\n",
    "<!-- --><![CDATA[x]]><?php echo 1 ?><!DOCTYPE x>",
    "<svg/onload=alert(1)><math><mtext></style><img src=x onerror=alert(1)>",
    "</title></style></head></body></html><plaintext><noscript><xmp>",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;img src=x onerror=1&#62; &NewLine;&Tab;&colon;",
    "[ref]: javascript:alert(1)\n\n[ref] and [x][ref]",
    "a\u{202e}b\u{2066}c\u{0}d\u{7f}e\u{85}f\u{feff}g",
    "<a href=\"jav\u{0}ascript:alert(1)\">x</a> [x](ht\u{0}tps://a.example)",
    "# <h1 style=position:fixed>x\n\n> > <frame>\n\n- [ ] <input autofocus onfocus=1>\n\n1. a\n\n999999999. b",
    "<base href=https://evil.example><meta http-equiv=refresh content=0;url=https://evil.example>",
    "<form action=https://evil.example><button>x</button></form><iframe srcdoc='<script>1</script>'></iframe>",
    "<template><script>1</script></template><textarea></section></details>",
    "[x](https://a.example/\u{202e}gpj.exe) [y](https://a.example/a b) [z](http://[::1]/)",
    "~~~ js onload=alert(1)\nx\n~~~\n\n    </pre><script>1</script>\n",
    "**<b** _</i>_ ~~<s~~ `</code><script>` \\<script> \\[x](javascript:1)",
];

#[test]
fn no_page_has_more_than_the_list_allows_whatever_was_said() {
    for hostile in HOSTILE {
        let page = html(&conversation(hostile));
        let found = read(&page);
        assert_eq!(found.elements.get("img"), Some(&1), "only the picture that is one");
        assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'), "{page}");
        assert!(!page.to_ascii_lowercase().contains("<script"), "{page}");
    }
}

#[test]
fn the_style_sheet_is_the_one_that_the_policy_names() {
    use sha2::Digest as _;
    let found = read(&html(&conversation("x")));
    let hash = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        sha2::Sha256::digest(found.style.as_bytes()),
    );
    assert_eq!(
        found.policy,
        format!("default-src 'none'; img-src data:; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
    );
    assert!(found.style.contains("prefers-color-scheme:dark"));
}

/// What markdown becomes, without the page around it.
fn prose(markdown: &str) -> String {
    let mut out = String::new();
    prose::write(&mut out, markdown, &mut Colours::default());
    out
}

#[test]
fn markdown_is_set_and_code_is_coloured() {
    insta::assert_snapshot!(prose(
        "# A *b*\n\nText `c` ~~d~~  \n[link](https://a.example/?a=1&b=2) [no](javascript:x) ![pic](https://a.example/p.png)\n\n\
         | a | b |\n|:-:|--:|\n| 1 | 2 |\n\n3. x\n4. y\n\n- [x] done\n\n> q\n\n---\n\n```rust\nfn f() {} // <c>\n```\n\n<b>raw</b>\n"
    ), @r#"
    <h3>A <em>b</em></h3>
    <p>Text <code>c</code> <del>d</del><br>
    <a href="https://a.example/?a=1&amp;b=2" rel="noopener noreferrer nofollow">link</a> <span class="about">no</span> (javascript:x) <span class="about">[image pic https://a.example/p.png]</span></p>
    <table><thead><tr><th class="center">a</th><th class="right">b</th></tr></thead>
    <tr><td class="center">1</td><td class="right">2</td></tr>
    </table>
    <ol start="3"><li>x</li>
    <li>y</li>
    </ol>
    <ul><li>☑ done</li>
    </ul>
    <blockquote><p>q</p>
    </blockquote>
    <hr>
    <pre class="code"><span class="keyword">fn</span> <span class="function">f</span>() {} <span class="comment">// &lt;c&gt;</span></pre>
    <p>&lt;b&gt;raw&lt;/b&gt;</p>
    "#);
}

#[test]
fn nesting_ends_and_every_element_is_closed() {
    let deep = format!("{}x", "> ".repeat(5000));
    let page = prose(&deep);
    assert_eq!(page.matches("<blockquote>").count(), 64);
    assert_eq!(page.matches("</blockquote>").count(), 64);
    let long = format!("```rust\nfn f() {{}}\n{}\nfn g() {{}}\n```", "x".repeat(5000));
    let page = prose(&long);
    assert!(page.contains("<span class=\"keyword\">fn</span> ") && page.ends_with("\nfn g() {}</pre>\n"), "{page}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn whatever_is_put_together_stays_text(pieces in prop::collection::vec(prop::sample::select(vec![
        "<", ">", "\"", "'", "&", "`", "```", "\n", "\n\n", "[", "](", ")", "!", "javascript:", "https://a.example", "<script>",
        "</", "script", "img ", "src=", "onerror=", "|", "---", "> ", "- ", "1. ", "# ", "*", "_", "~~", "<!--", "-->", "&#x3c;",
        "\\", " ", "x", "\u{0}", "\u{202e}", "mailto:", "{", "}", ":", "<a href=", "data:",
    ]), 0..60)) {
        read(&html(&conversation(&pieces.concat())));
    }
}
