//! The style sheet of all pages.

/// Light and dark, narrow and wide; no fonts and no pictures.
pub(super) const STYLE: &str = "\
:root { color-scheme: light dark; font: 1.0625rem/1.55 system-ui, sans-serif;
  --text: #1c2321; --soft: #55605c; --ground: #f4f6f5; --card: #fff; --line: #d5dcd9; --strong: #1d5c4f; --on-strong: #fff;
  --warn: #7a4b00; --warn-ground: #fff6e0 }
@media (prefers-color-scheme: dark) { :root {
  --text: #e7ecea; --soft: #a3afab; --ground: #141917; --card: #1d2421; --line: #36403c; --strong: #7fd1bd;
  --on-strong: #0d211c; --warn: #ffd589; --warn-ground: #2e2612 } }
* { box-sizing: border-box }
body { margin: 0; color: var(--text); background: var(--ground) }
main { max-width: 44rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }
h1 { font-size: 1.65rem; line-height: 1.2; margin: .5rem 0 .75rem; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 0 0 .5rem }
h3 { font-size: 1rem; margin: 1.25rem 0 .15rem }
p { margin: 0 0 .75rem }
p:last-child, ul:last-child { margin-bottom: 0 }
a { color: var(--strong) }
.lead { color: var(--soft) }
.soft { color: var(--soft); font-size: .94rem }
section { background: var(--card); border: 1px solid var(--line); border-radius: .7rem; padding: 1.1rem 1.1rem 1.2rem;
  margin: 1rem 0 }
section.warn { background: var(--warn-ground); border-color: transparent; color: var(--warn) }
a.button, button { display: inline-block; padding: .65rem 1.1rem; border: 0; border-radius: .5rem;
  background: var(--strong); color: var(--on-strong); font: inherit; font-weight: 600; text-decoration: none;
  cursor: pointer }
button.second { background: transparent; color: var(--strong); border: 1px solid var(--strong) }
a:focus-visible, button:focus-visible, input:focus-visible { outline: 3px solid #e0a100; outline-offset: 2px }
input { font: inherit; padding: .55rem .6rem; width: 13rem; max-width: 100%; border: 1px solid var(--soft);
  border-radius: .5rem; color: inherit; background: var(--card) }
label { font-weight: 600 }
.field { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; margin: .25rem 0 .75rem }
.copy { display: block; padding: .7rem .8rem; border-radius: .5rem; background: var(--ground); border: 1px solid
  var(--line); font: .95rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere; user-select: all;
  -webkit-user-select: all }
.once { font: 1.3rem/1.6 ui-monospace, monospace; overflow-wrap: anywhere; user-select: all; -webkit-user-select: all;
  margin-bottom: .5rem }
.name { font-weight: 600; font-size: .94rem; margin-bottom: .1rem }
.qr { width: 11rem; height: 11rem; display: block; margin: .5rem 0; border-radius: .4rem }
.error { border-left: .3rem solid #b3261e; padding-left: .8rem }
.beside { display: flex; flex-wrap: wrap; gap: 1.25rem; align-items: flex-start }
.beside > div { flex: 1 1 16rem }
.row { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center }
.row form { margin: 0 }
ul { margin: 0 0 .75rem; padding-left: 1.2rem }
li { margin: .25rem 0 }
@media (max-width: 40rem) { .wide { display: none } .beside > div { flex-basis: 100% } }
";
