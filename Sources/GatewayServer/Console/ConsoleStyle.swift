// SPDX-License-Identifier: Apache-2.0

/// The style of the console: light and dark, from 320 pixels of width.
enum ConsoleStyle {
    static let sheets = [base, layout, components, drawings]

    /// Colors, text, controls. The contrast of all texts is at least 4.5 to 1 (WCAG 2.2, 1.4.3).
    static let base = #"""
        :root {
          color-scheme: light dark;
          --ground: #f6f7f9; --surface: #ffffff; --line: #d5dae1; --text: #17202b; --soft: #55606e; --accent: #0b5cad;
          --good: #11703c; --warn: #8a5300; --bad: #b3201a; --good-soft: #dff3e6; --warn-soft: #fdf0d5; --bad-soft: #fde3e1;
          --s0: #0b5cad; --s1: #b35900; --s2: #7a2e9d; --s3: #11703c;
          --speech: #8d99a8; --recognizer: #b35900; --model: #0b5cad; --voice: #7a2e9d; --rest: #2f8f83; --delivery: #b3201a;
          --playback: #5d8a2d;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #11161c; --surface: #1a212a; --line: #333e4b; --text: #e7ecf2; --soft: #a3afbd; --accent: #7db8f5;
            --good: #7ed6a0; --warn: #f2c063; --bad: #ff9b93; --good-soft: #173726; --warn-soft: #3d2f11; --bad-soft: #47201d;
            --s0: #7db8f5; --s1: #f0a45a; --s2: #d39bf0; --s3: #7ed6a0;
            --speech: #7d8896; --recognizer: #f0a45a; --model: #7db8f5; --voice: #d39bf0; --rest: #6cc7ba; --delivery: #ff9b93;
            --playback: #a9d47c;
          }
        }
        * { box-sizing: border-box; }
        html { font: 16px/1.45 system-ui, sans-serif; background: var(--ground); color: var(--text); text-size-adjust: none; }
        body { margin: 0; overflow-wrap: anywhere; }
        a { color: var(--accent); text-underline-offset: 2px; }
        h1, h2, h3, p, ol, ul, dl, dd, figure { margin: 0; padding: 0; }
        ol, ul { list-style: none; }
        h1 { font-size: 1.5rem; }
        h2 { font-size: 1.15rem; margin-top: 1rem; }
        h3 { font-size: 1rem; }
        :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
        h1:focus, main:focus { outline: none; }
        button, input, select { font: inherit; color: inherit; background: var(--surface); border: 1px solid var(--soft);
          border-radius: 6px; padding: .4rem .7rem; min-height: 2.5rem; max-width: 100%; }
        button { cursor: pointer; }
        button:hover:enabled { border-color: var(--accent); }
        button:disabled { opacity: .5; cursor: default; }
        button.primary { background: var(--accent); border-color: var(--accent); color: var(--surface); }
        button.danger { border-color: var(--bad); color: var(--bad); }
        input[type=checkbox] { min-height: 0; width: 1.2rem; height: 1.2rem; }
        input[aria-invalid=true] { border-color: var(--bad); }
        table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
        th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; font-weight: normal; }
        thead th { color: var(--soft); font-size: .85rem; white-space: nowrap; }
        code { font: .85rem/1.4 ui-monospace, monospace; white-space: pre-wrap; }
        .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
        .skip { position: absolute; left: -100vw; }
        .skip:focus { left: 0; background: var(--surface); padding: .5rem; z-index: 3; }
        .help { color: var(--soft); font-size: .9rem; }
        .problem { color: var(--bad); }
        .id { font: .85em ui-monospace, monospace; }
        table .id, time { white-space: nowrap; }
        .foreign { unicode-bidi: isolate; white-space: pre-wrap; }
        @media (prefers-reduced-motion: reduce) { * { scroll-behavior: auto !important; transition: none !important; } }

        """#

    static let layout = #"""
        #banner { position: sticky; top: 0; z-index: 2; display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: center;
          padding: .5rem 1rem; background: var(--surface); border-bottom: 1px solid var(--line); }
        .brand { font-weight: 700; margin-right: auto; }
        .brand span { font-weight: 400; color: var(--soft); font-size: .85rem; }
        nav { display: flex; flex-wrap: wrap; gap: .2rem; align-items: center; }
        nav[hidden] { display: none; }
        nav a { padding: .5rem .7rem; border-radius: 6px; text-decoration: none; color: var(--text); }
        nav a[aria-current] { background: var(--ground); font-weight: 600; box-shadow: inset 0 -3px var(--accent); }
        main { display: grid; gap: .8rem; max-width: 90rem; margin: 0 auto; padding: 1rem 1rem 6rem; }
        main > * { min-width: 0; }
        .scroll { overflow-x: auto; background: var(--surface); border: 1px solid var(--line); border-radius: 8px; }
        .buttons { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
        .filters { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; }
        .filters label { display: block; font-size: .85rem; color: var(--soft); }
        .filters .check { display: flex; gap: .4rem; align-items: center; min-height: 2.5rem; }
        .charts { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); }
        .cards { display: grid; gap: 1rem; }
        .card { display: grid; gap: .6rem; background: var(--surface); border: 1px solid var(--line); border-radius: 8px; padding: 1rem; }
        .card h2 { margin: 0; }
        .facts { display: grid; gap: .5rem 1rem; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); }
        .facts dt { color: var(--soft); font-size: .85rem; }
        .login { display: grid; gap: .6rem; max-width: 28rem; width: 100%; margin: 2rem auto; }
        /* A message doesn't take the clicks of what is below it. */
        #messages { position: fixed; inset: auto 0 0 0; z-index: 3; pointer-events: none; }
        #messages button { pointer-events: auto; }
        #messages p { display: flex; gap: 1rem; align-items: center; justify-content: space-between; margin: .5rem auto; max-width: 50rem;
          padding: .6rem 1rem; background: var(--surface); border: 2px solid var(--accent); border-radius: 8px; }
        #messages p.problem { border-color: var(--bad); }
        dialog { color: inherit; background: var(--surface); border: 1px solid var(--soft); border-radius: 10px; padding: 1.2rem;
          width: min(32rem, calc(100vw - 2rem)); }
        dialog::backdrop { background: rgb(0 0 0 / .5); }
        dialog form, #dialog-fields { display: grid; gap: .8rem; }
        dialog h2 { margin: 0; }
        dialog label { display: block; font-size: .85rem; color: var(--soft); }
        dialog .buttons { justify-content: end; }
        @media (max-width: 48rem) {
          main { padding: .7rem .7rem 7rem; }
          nav a, nav button { padding: .5rem .45rem; }
          .cards-when-narrow thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
          .sessions.cards-when-narrow thead { position: static; width: auto; height: auto; clip-path: none; display: block; }
          .sessions.cards-when-narrow thead tr { display: flex; flex-wrap: wrap; gap: .3rem; padding: .5rem; }
          .sessions.cards-when-narrow thead th { border: 0; padding: 0; }
          .sessions.cards-when-narrow thead th:not(:has(button)) { display: none; }
          .cards-when-narrow, .cards-when-narrow tbody, .cards-when-narrow tr { display: block; }
          .cards-when-narrow tr { padding: .4rem 0; border-bottom: 1px solid var(--line); }
          .cards-when-narrow tbody td, .cards-when-narrow tbody th { display: flex; gap: 1rem; justify-content: space-between; border: 0;
            padding: .15rem .7rem; }
          .cards-when-narrow tbody :is(td, th)::before { content: attr(data-name); color: var(--soft); font-size: .85rem; flex: none; }
          .cards-when-narrow tbody .gap td::before { content: none; }
        }

        """#
}
