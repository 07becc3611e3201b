// SPDX-License-Identifier: Apache-2.0

extension ConsoleScript {
    /// The waterfall of a turn: which stage took how long, and which one was the slowest.
    static let waterfall = #"""
        /** The usual wait of a client before it acknowledges: at least once a second. */
        const usualAcknowledgement = 1000;

        /**
         * Divides a turn into consecutive stages, and the client's part beside them. Each is {key, name, from, to, delay}: `delay` is the
         * part of the duration that somebody waits for, which decides the slowest stage.
         */
        function stages(turn, now) {
          const found = [], end = turn.done ?? Math.max(0, now - turn.started_at);
          let last = 0;
          function add(key, name, to, delay) {
            if (to === null || to === undefined || to < last) return;
            found.push({key, name, from: last, to, delay: delay ?? to - last});
            last = to;
          }
          if (turn.kind === "audio") {
            add("speech", "Speech", turn.speech_end, 0);
            if (turn.speech_end !== null) add("recognizer", "Recognizer", turn.transcript);
          }
          add("model", "First token", turn.first_token);
          add("voice", "First sound", turn.first_audio);
          // Once sound plays, only what takes longer than the sound makes somebody wait.
          const rest = turn.first_audio === null ? undefined : Math.max(0, end - last - turn.audio_out_ms);
          if (turn.outcome === "completed") {
            add("rest", turn.first_token === null && turn.first_audio === null ? "End" : "Rest of the response", end, rest);
          } else {
            const suffix = turn.outcome === "open" ? " (going on)" : " (" + turn.outcome + ")";
            if (turn.kind === "audio" && turn.speech_end === null) add("speech", "Speech" + suffix, end, 0);
            else if (turn.kind === "audio" && turn.transcript === null && last === turn.speech_end) {
              add("recognizer", "Recognizer" + suffix, end);
            }
            else if (turn.first_token === null && turn.first_audio === null) add("model", "First token" + suffix, end);
            else add("rest", "Rest of the response" + suffix, end, rest);
          }
          const client = [];
          if (turn.done !== null && turn.delivered !== null) {
            const delay = Math.max(0, turn.delivered - turn.done - usualAcknowledgement);
            client.push({key: "delivery", name: "Delivery", from: turn.done, to: turn.delivered, delay});
          }
          if (turn.first_audio !== null && turn.played !== null && turn.played > turn.first_audio) {
            const took = turn.played - turn.first_audio;
            client.push({key: "playback", name: "Playback", from: turn.first_audio, to: turn.played,
              delay: Math.max(0, took - turn.audio_out_ms)});
          }
          return {server: found, client};
        }

        const culprits = {
          recognizer: "the recognizer (transcript after the end of speech)", model: "the model (first token of the response)",
          voice: "the synthesizer (first sound after the first token)", rest: "the rest of the response",
          delivery: "the client (acknowledges late)", playback: "the client (plays slower than the audio lasts)",
        };

        /** The stage that somebody waited for longest; undefined if no stage took 100 ms. */
        function slowest(turn, now) {
          const {server, client} = stages(turn, now);
          const found = [...server, ...client].filter(stage => stage.delay >= 100).sort((one, other) => other.delay - one.delay)[0];
          return found && culprits[found.key] ? found : undefined;
        }

        const lengthOf = (turn, now) => {
          const {server, client} = stages(turn, now);
          return Math.max(1, ...server.map(stage => stage.to), ...client.map(stage => stage.to));
        };

        function bars(all, y, scale) {
          return all.map(stage => h("rect", {x: (stage.from * scale).toFixed(2), y, height: 10, class: "bar " + stage.key,
            width: Math.max(1.5, (stage.to - stage.from) * scale).toFixed(2)}));
        }

        /** One turn of the timeline. All turns have the scale of the longest one, so that a slow turn stands out. */
        function turnItem(turn, now, longest) {
          const {server, client} = stages(turn, now), scale = 600 / longest;
          const culprit = slowest(turn, now);
          const kinds = {completed: "good", failed: "bad", cancelled: "warn", open: ""};
          const stageText = stage => h("li", null, h("i", {class: "key " + stage.key, "aria-hidden": "true"}), stage.name + " ",
            h("b", null, duration(stage.to - stage.from)), h("span", {class: "help"}, " at " + duration(stage.to)));
          return h("li", {class: "turn", "data-turn": turn.request_id, "data-slowest": culprit?.key},
            h("h3", null, h("span", {class: "id"}, turn.request_id), " ", badge(turn.outcome, kinds[turn.outcome]), " ",
              h("span", {class: "help"}, turn.kind + " at ", time(turn.started_at), " UTC")),
            turn.input ? h("p", {class: "said client"}, h("span", {class: "who"}, "User"), foreign(turn.input)) : null,
            turn.response ? h("p", {class: "said upstream"}, h("span", {class: "who"}, "Response"), foreign(turn.response)) : null,
            h("svg", {viewBox: "0 0 600 38", preserveAspectRatio: "none", class: "waterfall", "aria-hidden": "true"},
              h("rect", {x: 0, y: 0, width: 600, height: 38, class: "track"}), bars(server, 2, scale),
              bars(client.filter(stage => stage.key === "playback"), 14, scale),
              bars(client.filter(stage => stage.key === "delivery"), 26, scale)),
            h("ol", {class: "stages", "aria-label": "Stages of turn " + turn.request_id}, server.map(stageText), client.map(stageText)),
            culprit ? h("p", {class: "slowest"}, "Slowest: " + culprits[culprit.key] + ", " + duration(culprit.delay)
              + (culprit.key === "delivery" || culprit.key === "playback" ? " more than usual." : ".")) : null,
            turn.errors.length ? h("ul", {class: "errors"}, turn.errors.map(error => h("li", null,
              badge(error.code, "bad"), " ", time(error.at), " ", correlationLink(error.correlation_id)))) : null,
            turn.interruptions.length ? h("ul", {class: "interruptions"}, turn.interruptions.map(event => h("li", null,
              badge(event.event.replaceAll("_", " "), "warn"), " ", time(event.at), event.lost ? " messages were lost" : ""))) : null);
        }

        const correlationLink = id => id
          ? h("a", {href: "#/log?correlation_id=" + id, class: "id", title: "Log lines of this error"}, id) : null;

        """#
}
