// SPDX-License-Identifier: Apache-2.0
// Compiled, never run: the declarations fit the module, and an application that uses them is checked. `built.js` is a copy of `parley.js`,
// whose types TypeScript infers because it has no declarations beside it.
import * as declared from "./parley.js";
import * as built from "./built.js";

type Public<T> = Omit<T, "addEventListener">;
const codes: typeof declared.CODES = built.CODES;
const words: typeof declared.WORDS = built.WORDS;
const client = (parley: built.Parley): Public<declared.Parley> => parley;
const reply = (one: built.Reply): Omit<declared.Reply, "error"> & { error: object | null } => one;
const listening = (one: built.Listening): Omit<declared.Listening, "reply"> => one;
const error = (one: built.ParleyError): declared.ParleyError => one;
void [codes, words, client, reply, listening, error];

export async function application(output: HTMLElement): Promise<void> {
  const parley = new declared.Parley("wss://gateway.example/v1/ws", { token: async () => "jwt", storage: sessionStorage });
  parley.addEventListener("advice", ({ detail }) => (output.title = detail.text));
  parley.addEventListener("state", ({ detail: { state, retryInMs } }) => {
    const waits: boolean = state === "waiting" && (retryInMs ?? 0) > 1000;
    output.hidden = waits;
  });
  parley.addEventListener("utterance", ({ detail: { listening, reply } }) => output.append(listening.state, reply.transcript));
  for await (const delta of parley.say("Hello", { output: { modalities: ["text"] } })) output.append(delta);
  const whole: string = await parley.say("Hello", { output: "audio" });
  const handle: declared.Listening = parley.listen({ lang: "en", continuous: true, bargeIn: true });
  for await (const { text, final } of handle) if (final) output.append(text, whole);
  for await (const event of parley.events()) {
    if (event.type === "push") output.append(event.detail.text);
    if (event.type === "error") console.error(event.detail.error.class, event.detail.error.text);
  }
  // @ts-expect-error: there is no such state
  parley.status("sleeping");
  // @ts-expect-error: a text is required
  parley.say();
  await parley.close();
}
