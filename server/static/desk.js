// SPDX-License-Identifier: Apache-2.0
// The desk: carries commands from the server to the relay of this computer, and answers back.
// It computes nothing and understands no card. Texts come from the page; both languages stand in
// every problem document.
"use strict";

(() => {
  const desk = document.getElementById("desk");
  if (!desk) return;

  const data = desk.dataset;
  const zh = data.lang === "zh";
  const TOKEN = `yika-relay ${data.relay}`;
  const LOOK_MS = 2000; // between two looks for a relay that does not run yet
  const WAIT_MS = 20000; // for a card, per request; then asked again
  const TRIES = 30; // of an answer that the server did not take: a minute without network
  const PAUSE_MS = 2000;
  const BREATH_MS = 200; // between two questions after the same card
  const at = (id) => document.getElementById(id);
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  class Refused extends Error {
    constructor(status, problem) {
      super((zh ? problem.detail_zh : problem.detail) || problem.detail || `HTTP ${status}`);
      this.status = status;
      this.kind = (problem.type || "").split(":").pop();
    }
  }

  async function ask(address, method, body, headers) {
    const sent = { method, headers, cache: "no-store", credentials: "same-origin" };
    if (body !== undefined) {
      sent.body = JSON.stringify(body);
      sent.headers = { ...headers, "Content-Type": "application/json" };
    }
    const answer = await fetch(address, sent);
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Refused(answer.status, told);
    return told;
  }

  function relay(path, body) {
    const token = sessionStorage.getItem(TOKEN);
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    return ask(data.relay + path, body === undefined ? "GET" : "POST", body, headers);
  }

  // What the server does not take because the network is down is brought again: it gets the same
  // answer as the first time.
  async function server(path, body) {
    for (let tries = 1; ; tries += 1) {
      try {
        return await ask(data.api + path, "POST", body, { "X-CSRFToken": data.csrf });
      } catch (error) {
        const away = !(error instanceof Refused) || error.status >= 500;
        if (!away || tries >= TRIES) throw error;
        say(data.textOffline);
        await pause(PAUSE_MS);
      }
    }
  }

  function say(text, fault) {
    const line = at("work") || at("relay-state");
    line.textContent = text;
    line.classList.toggle("fault", Boolean(fault));
  }

  function beep(high) {
    const Sound = window.AudioContext;
    if (!Sound) return;
    const sound = new Sound();
    const tone = sound.createOscillator();
    tone.frequency.value = high ? 1200 : 300;
    tone.connect(sound.destination);
    tone.start();
    tone.stop(sound.currentTime + (high ? 0.12 : 0.5));
    tone.onended = () => sound.close();
  }

  // ---- the relay: is it there, are we paired, which readers ----

  function show(id, visible) {
    const part = at(id);
    if (part) part.hidden = !visible;
  }

  function ready(yes) {
    const button = at("start");
    if (button) button.disabled = !yes;
    if (yes && button && document.activeElement === document.body) button.focus();
  }

  async function look() {
    let told;
    try {
      told = await relay("/v1/status");
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        sessionStorage.removeItem(TOKEN);
        return look();
      }
      at("relay-state").textContent = error instanceof Refused ? error.message : data.textAway;
      show("pair", false);
      ready(false);
      setTimeout(look, LOOK_MS);
      return undefined;
    }
    show("pair", !told.paired);
    if (!told.paired) {
      at("relay-state").textContent = data.textUnpaired;
      ready(false);
      at("code").focus();
      return undefined;
    }
    return list(told.readers);
  }

  function list(readers) {
    const select = at("reader");
    select.replaceChildren(
      ...readers.map((reader) => {
        const option = document.createElement("option");
        option.value = reader.name;
        option.textContent = reader.name;
        return option;
      }),
    );
    show("readers", readers.length > 1);
    at("relay-state").textContent = readers.length ? data.textReady : data.textNoReader;
    ready(readers.length > 0);
    if (!readers.length) setTimeout(look, LOOK_MS);
  }

  async function pair(event) {
    event.preventDefault();
    const fault = at("code-fault");
    fault.hidden = true;
    try {
      const told = await relay("/v1/pair", { code: at("code").value });
      sessionStorage.setItem(TOKEN, told.token);
      at("code").value = "";
      await look();
    } catch (error) {
      fault.textContent = error.message;
      fault.hidden = false;
      at("code").select();
    }
  }

  // ---- one card ----

  async function card() {
    for (;;) {
      try {
        return await relay("/v1/reader/connect", { reader: at("reader").value, wait_ms: WAIT_MS });
      } catch (error) {
        if (!(error instanceof Refused) || error.kind !== "no-card") throw error;
      }
      await pause(BREATH_MS);
    }
  }

  async function carry(job) {
    say(data.textLay);
    const lying = await card();
    say(data.textWorking);
    show("progress", true);
    let told = await server(`/jobs/${job}/sessions`, { atr: lying.atr });
    while (told.commands.length) {
      at("progress").value = Math.min(told.step, at("progress").max);
      const said = await relay("/v1/reader/transmit", {
        session: lying.session,
        commands: told.commands,
      });
      told = await server(`/jobs/${job}/answer`, {
        session: told.session,
        step: told.step,
        answers: said.answers,
      });
    }
    at("progress").value = at("progress").max;
    return { told, session: lying.session };
  }

  function away(session, waitMs) {
    return relay("/v1/reader/disconnect", { session, wait_removed_ms: waitMs }).catch(() => ({}));
  }

  function facts(result) {
    const found = document.createElement("dl");
    found.className = "facts short";
    for (const [name, label] of Object.entries(JSON.parse(data.labels))) {
      const value = Array.isArray(result[name]) ? result[name].join(" · ") : result[name];
      if (value === null || value === undefined || value === "") continue;
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = label;
      text.textContent = String(value);
      found.append(term, text);
    }
    return found;
  }

  function reveal(result) {
    const place = at("result");
    place.replaceChildren(facts(result));
    if (result.card) {
      const link = document.createElement("a");
      link.className = "button";
      link.href = `/desk/cards/${result.card}`;
      link.textContent = data.textKnown;
      place.append(link);
    }
    place.hidden = false;
  }

  async function once() {
    const { told, session } = await carry(data.job);
    await away(session, 0);
    beep(told.state === "done");
    if (told.state === "done" && data.kind === "read") {
      say(zh ? told.text_zh : told.text_en);
      reveal(told.result);
      return;
    }
    location.reload();
  }

  // ---- a box: next card, beep, tick ----

  async function box() {
    for (;;) {
      const { job } = await server(`/boxes/${data.box}/next`, {});
      if (!job) {
        say(data.textEmpty);
        location.reload();
        return;
      }
      say(`${data.textNext} ${job.masked_name}`);
      const { told, session } = await carry(job.reference);
      beep(told.state === "done");
      if (told.state !== "done") {
        location.assign(`/desk/jobs/${job.reference}`);
        return;
      }
      tick(job, told);
      say(data.textTake);
      for (let gone = false; !gone; ) {
        gone = (await away(session, WAIT_MS)).removed !== false;
        if (!gone) await pause(BREATH_MS);
      }
    }
  }

  function tick(job, told) {
    const rows = [...document.querySelectorAll("tr[id^=line-]")];
    const row = rows.find((one) => one.querySelector(".badge.warn"));
    if (!row) return;
    const badge = row.querySelector(".badge");
    badge.className = "badge good";
    badge.textContent = zh ? told.text_zh : told.text_en;
    row.querySelector("td.num div").textContent = job.asn;
  }

  async function start() {
    ready(false);
    try {
      await (data.box ? box() : once());
    } catch (error) {
      beep(false);
      say(error.message, true);
      const button = at("start");
      button.textContent = data.textAgain;
      ready(true);
      button.focus();
    }
  }

  at("pair").addEventListener("submit", pair);
  if (at("start")) at("start").addEventListener("click", start);
  look();
})();
