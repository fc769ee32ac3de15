//! The head of a page: its policy and its one style sheet, light and dark as the reader's machine is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const STYLE: &str = "
:root{color-scheme:light dark;--ground:#fdfdfc;--ink:#1d1f23;--faint:#666b73;--line:#d9dbdf;--sheet:#f3f4f5;--link:#0b57b0;
--comment:#6a737d;--literal:#0a6640;--number:#9a4a00;--function:#6f3fb5;--keyword:#b3204d;--type:#0b57b0;
--inserted:#0a6640;--deleted:#b3204d;--heading:#0b57b0}
@media (prefers-color-scheme:dark){:root{--ground:#16181c;--ink:#dfe2e7;--faint:#9097a1;--line:#343942;--sheet:#1f2228;
--link:#7db4ff;--comment:#8b949e;--literal:#7fd1a3;--number:#f0ab6c;--function:#c7a6ff;--keyword:#ff8fab;--type:#7db4ff;
--inserted:#7fd1a3;--deleted:#ff8fab;--heading:#7db4ff}}
body{max-width:48rem;margin:2rem auto;padding:0 1rem;font:16px/1.55 system-ui,sans-serif;background:var(--ground);
color:var(--ink);overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:0}
h2{font-size:.95rem;margin:0 0 .5rem;color:var(--faint)}
h3,h4,h5,h6{line-height:1.3;margin:1.2rem 0 .4rem}
small,.about{color:var(--faint);font-weight:normal}
section{margin:1.5rem 0;padding-left:1rem;border-left:3px solid var(--line)}
section.user{border-color:var(--link)}
p,ul,ol,blockquote,table{margin:.6rem 0}
blockquote{padding-left:1rem;border-left:3px solid var(--line);color:var(--faint)}
a{color:var(--link)}
pre{white-space:pre-wrap;margin:.6rem 0;font:inherit;unicode-bidi:isolate}
code,pre.code{font:.85em/1.45 ui-monospace,SFMono-Regular,Consolas,monospace;background:var(--sheet);border-radius:.3rem}
code{padding:.1em .3em}
pre.code{padding:.7rem .9rem;border:1px solid var(--line)}
table{border-collapse:collapse}
th,td{border:1px solid var(--line);padding:.25rem .6rem;text-align:left;vertical-align:top}
th.center,td.center{text-align:center}
th.right,td.right{text-align:right}
details{margin:.5rem 0}
summary{cursor:pointer;color:var(--faint)}
img{max-width:100%}
hr{border:0;border-top:1px solid var(--line)}
.comment{color:var(--comment)}.literal{color:var(--literal)}.number{color:var(--number)}.function{color:var(--function)}
.keyword{color:var(--keyword)}.type{color:var(--type)}.inserted{color:var(--inserted)}.deleted{color:var(--deleted)}
.heading{color:var(--heading)}
@media print{section{border-left-width:1px}details:not([open]){display:none}}
";

/// From the beginning of a page to that of its body. `title` is escaped.
pub(super) fn head(title: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"generator\" content=\"millrace\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
}
