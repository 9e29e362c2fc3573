//! How the page looks: light and dark, phone and desktop; nothing is fetched.

/// The style sheet.
pub(crate) const CSS: &str = "
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#57606a;--paper:#fff;--card:#f6f8fa;--line:#d0d7de;--good:#1a7f37;
--bad:#b42318;--warn:#8a5a00;--c0:#0b62a8;--c1:#b8500b;--c2:#6b3fa0;--c3:#0f7a5f;--c4:#a3195b;--c5:#5c5c00}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9da7b3;--paper:#0d1117;--card:#161b22;--line:#30363d;
--good:#4ac26b;--bad:#ff7b72;--warn:#e3b341;--c0:#6cb6ff;--c1:#f69d50;--c2:#c5a3ff;--c3:#56d4b1;--c4:#ff8fc0;--c5:#d6d65c}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.25rem;margin:2rem 0 .5rem;border-top:1px solid var(--line);padding-top:1rem}
h3{font-size:1rem;margin:1.2rem 0 .4rem}p{margin:.4rem 0}code{font-family:ui-monospace,monospace;font-size:.9em;overflow-wrap:anywhere}
a{color:var(--c0)}a:focus-visible,.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
.verdict{border-left:.4rem solid;padding:.5rem .8rem;background:var(--card);margin:.8rem 0}
.good{border-color:var(--good)}.void,.broken{border-color:var(--bad)}.undecided{border-color:var(--warn)}
.verdict strong{display:block}.dim{color:var(--dim)}.bad{color:var(--bad);font-weight:600}.ok{color:var(--good);font-weight:600}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem;margin:.3rem 0}
caption{text-align:left;color:var(--dim);font-size:.85rem;padding-bottom:.2rem}
th,td{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}td.text,th.text{text-align:left;white-space:normal;min-width:14rem}thead th{color:var(--dim);font-weight:600}
figure{margin:.8rem 0;background:var(--card);padding:.7rem;border-radius:.4rem}figcaption{font-weight:600;margin-bottom:.4rem}
.frame{display:grid;grid-template-columns:4.2rem 1fr;grid-template-rows:12rem 1.4rem}
.area{position:relative;border-left:1px solid var(--line);border-bottom:1px solid var(--line)}
.area svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible}
.y{position:relative}.y span{position:absolute;right:.4rem;transform:translateY(50%);font-size:.75rem;color:var(--dim);white-space:nowrap}
.x{position:relative;grid-column:2}.x span{position:absolute;transform:translateX(-50%);font-size:.75rem;color:var(--dim);white-space:nowrap}
.x span.last{transform:translateX(-100%)}.x span.first{transform:none}
.grid{stroke:var(--line);stroke-width:1;vector-effect:non-scaling-stroke}
.curve{fill:none;stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round;stroke-linecap:round}
.fault{stroke:var(--bad);stroke-width:1;stroke-dasharray:3 3;vector-effect:non-scaling-stroke}
.mark{position:absolute;top:0;transform:translateX(-50%);font-size:.7rem;line-height:1.1rem;min-width:1.1rem;text-align:center;
background:var(--bad);color:var(--paper);border-radius:.55rem;padding:0 .25rem}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.3rem 0 0;padding:0;font-size:.85rem}
.legend svg{width:1.8rem;height:.6rem;margin-right:.3rem;vertical-align:middle}
.faults{font-size:.85rem;margin:.3rem 0 0;padding-left:1.6rem}
.k0{stroke:var(--c0)}.k1{stroke:var(--c1);stroke-dasharray:6 3}.k2{stroke:var(--c2);stroke-dasharray:2 3}.k3{stroke:var(--c3);stroke-dasharray:9 3 2 3}
.k4{stroke:var(--c4);stroke-dasharray:4 2}.k5{stroke:var(--c5);stroke-dasharray:1 4}
pre{overflow-x:auto;background:var(--card);padding:.6rem;font-size:.8rem;white-space:pre-wrap;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;font-size:.9rem}dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
@media(max-width:40rem){body{padding:.7rem}tbody th{white-space:normal;min-width:7rem}dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}.frame{grid-template-columns:3.6rem 1fr}}
@media print{details{display:block}figure{break-inside:avoid}}
";
