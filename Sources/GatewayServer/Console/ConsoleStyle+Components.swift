// SPDX-License-Identifier: Apache-2.0

extension ConsoleStyle {
    static let components = #"""
        .badge { display: inline-block; padding: 0 .5rem; border-radius: 99px; border: 1px solid var(--line); background: var(--ground);
          font-size: .85rem; white-space: nowrap; max-width: 100%; overflow: hidden; text-overflow: ellipsis; vertical-align: bottom; }
        .badge.good { color: var(--good); background: var(--good-soft); border-color: currentcolor; }
        .badge.warn { color: var(--warn); background: var(--warn-soft); border-color: currentcolor; }
        .badge.bad, .badge.problem { color: var(--bad); background: var(--bad-soft); border-color: currentcolor; }
        .meter { display: flex; gap: .5rem; align-items: center; white-space: nowrap; }
        .meter svg { width: 6rem; height: .6rem; border-radius: 4px; flex: none; }
        .track { fill: var(--line); }
        .fill { fill: var(--accent); }
        .meter.warn .fill { fill: var(--warn); }
        .meter.bad .fill { fill: var(--bad); }
        button.sort { min-height: 2rem; padding: .1rem .5rem; font-size: .85rem; white-space: nowrap; }
        th[aria-sort] button.sort { border-color: var(--accent); color: var(--accent); font-weight: 600; }
        .lines { background: var(--surface); border: 1px solid var(--line); border-radius: 8px; padding: .3rem; max-height: 75vh;
          overflow-y: auto; font: .85rem/1.5 ui-monospace, monospace; }
        .lines .line { padding: .2rem .4rem; border-bottom: 1px solid var(--line); }
        .line .message { font-weight: 600; }
        .field { margin-right: .6rem; }
        .field .name { color: var(--soft); }
        .gap { color: var(--warn); padding: .2rem .4rem; }
        .sessions .foreign { display: inline-block; max-width: 14rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
          vertical-align: bottom; }
        .tap td { font-size: .9rem; }
        .tap td:first-child { white-space: nowrap; }
        .tap code { display: block; max-height: 12rem; overflow-y: auto; }
        .direction-out td { background: color-mix(in srgb, var(--accent) 6%, transparent); }
        @media (max-width: 48rem) {
          .figures thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
          .figures, .figures tbody, .figures tr { display: block; }
          .figures tr { display: grid; grid-template-columns: repeat(3, 1fr); gap: 0 .5rem; padding: .4rem .6rem;
            border-bottom: 1px solid var(--line); }
          .figures tbody td, .figures tbody th { border: 0; padding: 0; }
          .figures tbody th { grid-column: 1 / -1; font-weight: 600; }
          .figures tbody td:last-child { grid-column: 1 / -1; }
          .figures tbody td::before { content: attr(data-name); display: block; color: var(--soft); font-size: .8rem; }
          .figures tbody td:last-child::before { content: none; }
          .tap.cards-when-narrow tbody tr { display: flex; flex-wrap: wrap; gap: 0 .8rem; padding: .4rem .7rem; }
          .tap.cards-when-narrow tbody td { padding: 0; background: none; }
          .tap.cards-when-narrow tbody td::before { content: none; }
        }

        """#

    static let drawings = #"""
        .chart { background: var(--surface); border: 1px solid var(--line); border-radius: 8px; padding: .6rem; }
        .chart figcaption { display: flex; flex-wrap: wrap; gap: .2rem 1rem; justify-content: space-between; }
        .chart .name { font-weight: 600; }
        .chart .legend { display: flex; flex-wrap: wrap; gap: 0 .8rem; font-size: .85rem; color: var(--soft); }
        .chart .legend b { display: inline-block; min-width: 3rem; color: var(--text); font-variant-numeric: tabular-nums; }
        .plot { position: relative; margin-top: .3rem; }
        .plot svg { display: block; width: 100%; height: 7rem; }
        .plot .scale { position: absolute; top: 0; left: .2rem; font-size: .75rem; color: var(--soft); background: var(--surface); }
        .span { display: flex; justify-content: space-between; font-size: .75rem; color: var(--soft); }
        .grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
        .series { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round; stroke-linecap: round; }
        .series.s0 { stroke: var(--s0); }
        .series.s1 { stroke: var(--s1); stroke-dasharray: 6 4; }
        .series.s2 { stroke: var(--s2); stroke-dasharray: 2 4; }
        .series.s3 { stroke: var(--s3); }
        .key { display: inline-block; width: .8rem; height: .8rem; border-radius: 3px; margin-right: .3rem; vertical-align: -.05rem; }
        .key.s0 { background: var(--s0); }
        .key.s1 { background: var(--s1); }
        .key.s2 { background: var(--s2); }
        .key.s3 { background: var(--s3); }
        .turns { display: grid; gap: .8rem; }
        .turn { display: grid; gap: .4rem; background: var(--surface); border: 1px solid var(--line); border-radius: 8px; padding: .8rem; }
        .turn h3 { display: flex; flex-wrap: wrap; gap: .2rem .6rem; align-items: baseline; }
        .said { padding-left: .6rem; border-left: 4px solid var(--line); max-height: 10rem; overflow-y: auto; }
        .said.client { border-color: var(--speech); }
        .said.upstream { border-color: var(--model); }
        .said .who { display: block; font-size: .8rem; color: var(--soft); }
        .waterfall { display: block; width: 100%; height: 2.8rem; border-radius: 4px; }
        .waterfall .track { fill: var(--ground); }
        .stages { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; font-size: .9rem; font-variant-numeric: tabular-nums; }
        .slowest { font-weight: 600; color: var(--warn); }
        .bar.speech { fill: var(--speech); }
        .bar.recognizer { fill: var(--recognizer); }
        .bar.model { fill: var(--model); }
        .bar.voice { fill: var(--voice); }
        .bar.rest { fill: var(--rest); }
        .bar.delivery { fill: var(--delivery); }
        .bar.playback { fill: var(--playback); }
        .key.speech { background: var(--speech); }
        .key.recognizer { background: var(--recognizer); }
        .key.model { background: var(--model); }
        .key.voice { background: var(--voice); }
        .key.rest { background: var(--rest); }
        .key.delivery { background: var(--delivery); }
        .key.playback { background: var(--playback); }

        """#
}
